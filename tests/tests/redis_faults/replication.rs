//! Waiting for asynchronous replication.

use tests::servers::{RedisServer, until};

/// Waits until the replica has all writes that the primary had acknowledged before.
///
/// It does not use `WAIT`, which waits for the writes of its own connection only.
pub(crate) fn wait_until_caught_up(primary: &RedisServer, replica: &RedisServer) {
    let offset = |server: &RedisServer, name| server.info(name)?.parse::<u64>().ok();
    let goal = offset(primary, "master_repl_offset").expect("an offset of the primary");
    let caught_up = || offset(replica, "slave_repl_offset").is_some_and(|offset| offset >= goal);
    until("the replica to catch up", || replica.log(), caught_up);
}
