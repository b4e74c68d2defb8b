//! Late replies.

use super::*;

#[tokio::test]
async fn a_late_reply_goes_to_nobody_and_its_connection_is_used_again() {
    let peer = Peer::new().await;
    let client = peer.impatient(|limits| limits.timeout = Duration::from_secs(2));
    let first = start_echo(&client, "first");
    let mut line = peer.accept().await;
    let request = line.request().await;
    assert_eq!(reason(first.await.unwrap()), Reason::TimedOut);
    assert_eq!((client.quarantined_now(), client.quarantined_total()), (1, 1));

    let second = start_echo(&client, "second");
    let mut other = peer.accept().await;
    let other_request = other.request().await;
    line.assert_silent();
    line.answer(&request).await;
    until("nothing is quarantined", || client.quarantined_now() == 0).await;
    assert!(is_pending(&second));
    other.answer(&other_request).await;
    assert_eq!(second.await.unwrap().unwrap(), "second");

    // Both connections are verified now.
    let calls = [start_echo(&client, "third"), start_echo(&client, "fourth")];
    for line in [&mut line, &mut other] {
        let request = line.request().await;
        line.answer(&request).await;
    }
    for (call, value) in calls.into_iter().zip(["third", "fourth"]) {
        assert_eq!(call.await.unwrap().unwrap(), value);
    }
    peer.assert_alone().await;
    assert_eq!(client.quarantined_total(), 1);
}

#[tokio::test]
async fn a_late_foreign_reply_is_not_taken_for_ours() {
    let peer = Peer::new().await;
    let client = peer.impatient(|limits| limits.timeout = Duration::from_secs(2));
    let call = start_echo(&client, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    assert_eq!(reason(call.await.unwrap()), Reason::TimedOut);
    line.send(&(foreign() + &foreign())).await;
    for _ in 0..10 {
        // The call never uses the first connection.
        let call = start_echo(&client, "w");
        let mut other = peer.accept().await;
        let request = other.request().await;
        other.send(&bulk(&request.nonce, "w").replace("Keep-Alive", "close")).await;
        assert_eq!(call.await.unwrap().unwrap(), "w");
        line.assert_silent();
        assert_eq!(client.quarantined_now(), 1);
    }
    line.answer(&request).await;
    line.ended().await;
    until("nothing is quarantined", || client.quarantined_now() == 0).await;
    assert_eq!(client.quarantined_total(), 1);
}

#[tokio::test]
async fn a_reply_that_never_comes_is_given_up() {
    let peer = Peer::new().await;
    for also_foreign in [false, true] {
        let client = peer.impatient(|limits| limits.drain_for = BRIEF);
        let call = start_echo(&client, "v");
        let mut line = peer.accept().await;
        line.request().await;
        if also_foreign {
            line.send(&foreign()).await;
        }
        let expected = if also_foreign { Reason::Foreign } else { Reason::TimedOut };
        assert_eq!(reason(call.await.unwrap()), expected);
        line.ended().await;
        until("nothing is quarantined", || client.quarantined_now() == 0).await;
    }
}

#[tokio::test]
async fn too_many_late_replies_stop_everything_until_one_comes() {
    let peer = Peer::new().await;
    let client = peer.impatient(|limits| {
        limits.timeout = Duration::from_secs(3);
        limits.max_connections = MAX_QUARANTINED;
    });
    let calls: Vec<_> = (0..MAX_QUARANTINED).map(|_| start_echo(&client, "late")).collect();
    let mut lines = Vec::new();
    for _ in 0..MAX_QUARANTINED {
        let mut line = peer.accept().await;
        let request = line.request().await;
        lines.push((line, request));
    }
    for call in calls {
        assert_eq!(reason(call.await.unwrap()), Reason::TimedOut);
    }
    assert_eq!(client.quarantined_now(), MAX_QUARANTINED);

    let text = not_sent(echo(&client, b"v").await);
    assert!(text.contains("64 connections"), "{text}");
    peer.assert_alone().await;
    for (line, _) in &lines {
        line.assert_silent();
    }

    let (line, request) = &mut lines[0];
    line.answer(request).await;
    until("one is not quarantined", || client.quarantined_now() < MAX_QUARANTINED).await;
    let call = start_echo(&client, "v");
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "v");
    assert_eq!(client.quarantined_total(), 64);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_cut_its_request() {
    let peer = Peer::new().await;
    let client = Arc::new(peer.builder().with_max_connections(1).client().unwrap());
    let call = start_echo(&client, "first");
    let mut line = peer.accept().await;
    let request = line.request().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    line.assert_silent();
    line.answer(&request).await;

    // One permit: the next call waits until the first is over. It gets the connection only if the reply was verified.
    let call = start_echo(&client, "second");
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "second");
    assert_eq!(client.quarantined_total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_redis_is_not_waited_for_and_is_noticed_when_it_goes_on() {
    let live = LiveWebdis::new(OPEN);
    live.client().await;
    let client = Arc::new(live.builder().with_timeout(Duration::from_secs(1)).client().unwrap());
    until_answered(&client).await;
    let redis = live.redis.as_ref().unwrap();
    redis.signal("-STOP");
    let calls: Vec<_> = (0..5).map(|_| start_echo(&client, "v")).collect();
    for call in calls {
        assert_eq!(reason(call.await.unwrap()), Reason::TimedOut);
    }
    assert_eq!(client.quarantined_now(), 5);
    redis.signal("-CONT");
    until("nothing is quarantined", || client.quarantined_now() == 0).await;
    assert_eq!(echo(&client, b"again").await.unwrap(), "again");
}
