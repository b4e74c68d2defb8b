//! Errors, which carry no nonce.

use super::*;

#[tokio::test]
async fn errors_use_up_neither_connections_nor_patience() {
    let peer = Peer::new().await;
    let client = Arc::new(peer.builder().with_max_connections(3).client().unwrap());
    let refuse = Arc::new(AtomicBool::new(true));
    let accepted = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn({
        let (refuse, accepted) = (Arc::clone(&refuse), Arc::clone(&accepted));
        async move {
            loop {
                let mut line = peer.accept().await;
                accepted.fetch_add(1, Ordering::SeqCst);
                let refuse = Arc::clone(&refuse);
                tokio::spawn(async move {
                    loop {
                        let request = line.request().await;
                        if refuse.load(Ordering::SeqCst) {
                            line.send(&status("503 Service Unavailable", "")).await;
                        } else {
                            line.answer(&request).await;
                        }
                    }
                });
            }
        }
    });
    for _ in 0..300 {
        let reason = reason(echo(&client, b"v").await);
        assert_eq!(reason, Reason::Status(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(reason.to_string(), "Webdis cannot reach Redis (503)");
    }
    assert_eq!((client.quarantined_now(), client.quarantined_total()), (0, 0));
    assert_eq!(accepted.load(Ordering::SeqCst), 3);
    refuse.store(false, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(echo(&client, b"v").await.unwrap(), "v");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 3);
    server.abort();
}

#[tokio::test]
async fn a_foreign_error_does_not_let_our_reply_reach_the_next_call() {
    for ours_comes_first in [true, false] {
        let peer = Peer::new().await;
        let client = Arc::new(peer.builder().with_max_connections(1).client().unwrap());
        let first = start_echo(&client, "first");
        let mut line = peer.accept().await;
        let request = line.request().await;
        line.send(&ok("-OOM command not allowed\r\n")).await;
        let reason_given = reason(first.await.unwrap());
        assert!(matches!(reason_given, Reason::Redis(code) if code.as_str() == "OOM"), "{reason_given:?}");

        if ours_comes_first {
            line.answer(&request).await;
            line.ended().await;
            let second = start_echo(&client, "second");
            let mut line = peer.accept().await;
            let request = line.request().await;
            line.answer(&request).await;
            assert_eq!(second.await.unwrap().unwrap(), "second");
        } else {
            let second = start_echo(&client, "second");
            let second_request = line.request().await;
            line.answer(&request).await;
            assert_eq!(reason(second.await.unwrap()), Reason::Foreign);
            assert_eq!(client.quarantined_now(), 1);
            line.answer(&second_request).await;
            line.ended().await;
            until("nothing is quarantined", || client.quarantined_now() == 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_is_noticed_by_the_first_call() {
    let mut live = LiveWebdis::new(OPEN);
    let client = live.client().await;
    let port = live.stop_redis();
    for _ in 0..200 {
        // The first ones may end calls that were under way.
        let reason = reason(echo(&client, b"v").await);
        assert_eq!(reason, Reason::Status(StatusCode::SERVICE_UNAVAILABLE));
    }
    assert_eq!(client.quarantined_total(), 0);
    live.start_redis(port);
    until_answered(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_call_is_for_webdis_to_say() {
    let live = LiveWebdis::new(CLOSED);
    let wrong = [
        live.builder(),
        live.builder().with_basic_auth("user", "wrong"),
        live.builder().with_basic_auth("other", "pass/word"),
    ];
    for builder in wrong {
        let client = builder.client().unwrap();
        for _ in 0..100 {
            let reason = reason(echo(&client, b"v").await);
            assert_eq!(reason, Reason::Status(StatusCode::FORBIDDEN));
            let text = reason.to_string();
            assert!(text.contains("403") && text.contains("password") && !text.contains("wrong"), "{text}");
        }
        assert_eq!(client.quarantined_total(), 0);
    }
    let url = format!("http://user:pass%2Fword@127.0.0.1:{}", live.webdis.port);
    let right = [live.builder().with_basic_auth("user", "pass/word"), WebdisStoreBuilder::new(url)];
    for builder in right {
        let client = builder.client().unwrap();
        until_answered(&client).await;
        let nonce = Nonce::new().unwrap();
        let words: [&[u8]; 5] = [b"SET", b"key", b"0", nonce.as_bytes(), b""];
        let other_command = client.call(&words, &nonce).await;
        assert_eq!(reason(other_command), Reason::Status(StatusCode::FORBIDDEN));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_error_of_redis_there_is_its_code() {
    let live = LiveWebdis::new(OPEN);
    let client = live.client().await;
    let nonce = Nonce::new().unwrap();
    let digest = b"ffffffffffffffffffffffffffffffffffffffff";
    let words: [&[u8]; 4] = [b"EVALSHA", digest, b"0", nonce.as_bytes()];
    let reason_given = reason(client.call(&words, &nonce).await);
    assert!(matches!(reason_given, Reason::Redis(code) if code.as_str() == "NOSCRIPT"), "{reason_given:?}");
    // A reply of Redis that is no error and has no nonce.
    let nonce = Nonce::new().unwrap();
    assert_eq!(reason(client.call(&[b"PING"], &nonce).await), Reason::Foreign);
}
