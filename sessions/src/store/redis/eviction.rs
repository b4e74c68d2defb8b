//! The eviction policy of a server: it may end sessions before their time.

/// Returns true if a server with this `INFO memory` ends sessions early when its memory is full.
pub(super) fn evicts(info: &str) -> bool {
    let value =
        |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    // Every key of the store has a TTL, so the policies for keys that have one apply to them too.
    value("maxmemory").is_some_and(|limit| limit != "0")
        && value("maxmemory_policy").is_some_and(|policy| policy != "noeviction")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bounded_server_with_a_policy_evicts() {
        let info = |limit: &str, policy: &str| {
            format!("# Memory\r\nused_memory:1\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n")
        };
        assert!(evicts(&info("1000000", "allkeys-lru")));
        assert!(evicts(&info("1000000", "volatile-ttl")));
        assert!(!evicts(&info("1000000", "noeviction")));
        assert!(!evicts(&info("0", "allkeys-lru")));
        assert!(!evicts(""));
    }
}
