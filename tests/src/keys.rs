//! The keys of one test on a Redis server that it shares with others.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::servers::RedisServer;

/// A prefix of keys that no other test of the process has.
#[derive(Debug)]
pub struct Keys(String);

impl Keys {
    /// Creates a prefix that was not used before.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(format!("test{}:", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Returns the prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0
    }

    /// Returns all bytes under the prefix on these servers: keys, names and values.
    ///
    /// # Panics
    ///
    /// If a server does not answer.
    #[must_use]
    pub fn dump(&self, servers: &[&RedisServer]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for server in servers {
            // As the user of the helpers, whatever a test forbids the default user.
            let client = redis::Client::open(server.url_as("support", "support")).expect("a URL");
            let mut connection = client.get_connection().expect("a connection");
            let pattern = format!("{}*", self.0);
            let keys: Vec<Vec<u8>> =
                redis::cmd("KEYS").arg(pattern).query(&mut connection).expect("the keys");
            for key in keys {
                let fields: Vec<Vec<u8>> =
                    redis::cmd("HGETALL").arg(&key).query(&mut connection).expect("a hash");
                bytes.extend(key);
                bytes.extend(fields.concat());
            }
        }
        bytes
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}
