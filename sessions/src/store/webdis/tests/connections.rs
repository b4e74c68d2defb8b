//! Opening, sharing and replacing connections.

use super::*;

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let url = {
        let peer = Peer::new().await;
        peer.url()
    };
    let client = WebdisStoreBuilder::new(url).client().unwrap();
    assert!(not_sent(echo(&client, b"v").await).starts_with("cannot connect to Webdis at 127.0.0.1:"));
    let unknown = WebdisStoreBuilder::new("http://user:sesame@webdis.invalid").client().unwrap();
    let text = not_sent(echo(&unknown, b"v").await);
    assert!(text.contains("webdis.invalid") && !text.contains("sesame"), "{text}");
}

#[tokio::test]
async fn waiting_for_a_free_connection_has_an_end() {
    let peer = Peer::new().await;
    let client = peer.impatient(|limits| {
        limits.timeout = Duration::from_secs(2);
        limits.max_connections = 1;
    });
    let first = start_echo(&client, "first");
    let mut line = peer.accept().await;
    let request = line.request().await;
    let second = start_echo(&client, "second");
    let third = start_echo(&client, "third");
    line.assert_silent();
    peer.assert_alone().await;
    line.answer(&request).await;
    assert_eq!(first.await.unwrap().unwrap(), "first");
    let request = line.request().await;
    let (answered, left) = if request.value == "second" { (second, third) } else { (third, second) };
    match left.await.unwrap() {
        // It got the connection at the moment of the other one's deadline.
        Err(CallFailure::Unverified { reason }) => assert_eq!(reason, Reason::TimedOut),
        // Or it got none, or had no time left to open another one.
        failure => {
            let told = not_sent(failure);
            assert!(told.contains("in use") || told.contains("connect"), "{told}");
        }
    }
    assert_eq!(reason(answered.await.unwrap()), Reason::TimedOut);
}

#[tokio::test]
async fn a_connection_that_is_cut_owes_nothing() {
    let peer = Peer::new().await;
    let client = peer.client();
    for sent in ["", "HTTP/1.1 200", &ok("$99")[..40], "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n$40"] {
        let call = start_echo(&client, "v");
        let mut line = peer.accept().await;
        line.request().await;
        line.send(sent).await;
        drop(line);
        assert_eq!(reason(call.await.unwrap()), Reason::Cut, "{sent:?}");
    }
    assert_eq!(client.quarantined_total(), 0);
}

#[tokio::test]
async fn a_connection_that_was_closed_at_rest_is_replaced() {
    let peer = Peer::new().await;
    let client = peer.client();
    for value in ["first", "second", "third"] {
        let call = start_echo(&client, value);
        let mut line = peer.accept().await;
        let request = line.request().await;
        line.answer(&request).await;
        assert_eq!(call.await.unwrap().unwrap(), value);
        drop(line);
        until("it is noticed", || client.idle_now() == 0).await;
    }
}

#[test]
fn runtimes_do_not_wait_for_each_other() {
    let live = LiveWebdis::new(OPEN);
    let client = Arc::new(live.builder().with_max_connections(2).client().unwrap());
    // Each runtime stands still after its call, and its connections with it.
    let runtimes: Vec<_> = (0..5)
        .map(|_| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(until_answered(&client));
            runtime
        })
        .collect();
    for runtime in &runtimes {
        assert_eq!(runtime.block_on(echo(&client, b"v")).unwrap(), "v");
    }
    drop(runtimes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(echo(&client, b"w")).unwrap(), "w");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_connections_are_open_than_may_be() {
    let peer = Peer::new().await;
    let client = Arc::new(peer.builder().with_max_connections(4).client().unwrap());
    let accepted = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn({
        let accepted = Arc::clone(&accepted);
        async move {
            loop {
                let mut line = peer.accept().await;
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    loop {
                        // `request` asserts that there is one request at a time.
                        let request = line.request().await;
                        tokio::task::yield_now().await;
                        line.answer(&request).await;
                    }
                });
            }
        }
    });
    let calls: Vec<_> = (0..500).map(|number| start_echo(&client, &number.to_string())).collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), number.to_string());
    }
    assert!(accepted.load(Ordering::SeqCst) <= 4);
    server.abort();
}
