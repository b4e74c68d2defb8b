//! Foreign replies.

use super::*;

#[tokio::test]
async fn a_foreign_reply_goes_to_nobody_and_ours_that_follows_neither() {
    let peer = Peer::new().await;
    let client = peer.client();
    let first = start_echo(&client, "first");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.send(&foreign()).await;
    assert_eq!(reason(first.await.unwrap()), Reason::Foreign);
    assert_eq!((client.quarantined_now(), client.quarantined_total()), (1, 1));

    // More of them change nothing: the reply of the call is still to come.
    line.send(&foreign()).await;
    line.send(&ok("-NOSCRIPT No matching script\r\n")).await;
    line.send(&status("503 Service Unavailable", "")).await;

    let second = start_echo(&client, "second");
    let mut other = peer.accept().await;
    let other_request = other.request().await;
    let (half, rest) = {
        let reply = bulk(&request.nonce, "first");
        let at = reply.len() - 5;
        (reply[..at].to_owned(), reply[at..].to_owned())
    };
    line.send(&half).await;
    other.answer(&other_request).await;
    assert_eq!(second.await.unwrap().unwrap(), "second");
    line.assert_silent();
    assert_eq!(client.quarantined_now(), 1);

    line.send(&rest).await;
    line.ended().await;
    until("nothing is quarantined", || client.quarantined_now() == 0).await;

    let third = start_echo(&client, "third");
    let other_request = other.request().await;
    other.answer(&other_request).await;
    assert_eq!(third.await.unwrap().unwrap(), "third");
    peer.assert_alone().await;
}

#[tokio::test]
async fn a_foreign_reply_and_ours_in_one_packet_are_told_apart() {
    let peer = Peer::new().await;
    let client = peer.client();
    let call = start_echo(&client, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.send(&(foreign() + &bulk(&request.nonce, "v"))).await;
    assert_eq!(reason(call.await.unwrap()), Reason::Foreign);
    line.ended().await;
    until("nothing is quarantined", || client.quarantined_now() == 0).await;
}

#[tokio::test]
async fn a_foreign_reply_to_a_resting_connection_ends_it() {
    let peer = Peer::new().await;
    let client = peer.client();
    let call = start_echo(&client, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "v");
    line.send(&foreign()).await;

    line.ended().await;

    let call = start_echo(&client, "w");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "w");
    assert_eq!(client.quarantined_total(), 0);
}

/// With the real Webdis: eight clients leave in the middle of their requests, again and again.
///
/// A Webdis in this state now and then loses a reply (with plain sockets, one of 4,800). If a foreign reply came
/// before, the call failed with `Foreign`; if none came, it fails with `TimedOut`. Both are right, and the connection
/// is quarantined in both cases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_do_not_give_us_their_replies() {
    let live = LiveWebdis::new(OPEN);
    live.client().await;
    let address = live.webdis.address();
    let (mut answered, mut foreign, mut timed_out, mut all) = (0, 0, 0, Vec::new());
    for round in 0..200 {
        // New connections, which get the places of those that left.
        let client = Arc::new(live.builder().with_timeout(SOON / 3).client().unwrap());
        let leaving = tokio::task::spawn_blocking(move || {
            let clients: Vec<_> = (0..8).map(|_| half_ask(address)).collect();
            drop(clients);
        });
        leaving.await.unwrap();
        let calls: Vec<_> = (0..8)
            .map(|call| {
                let value = format!("{round}-{call}");
                (start_echo(&client, &value), value)
            })
            .collect();
        for (call, value) in calls {
            match call.await.unwrap() {
                Ok(got) => {
                    assert_eq!(got, value);
                    answered += 1;
                }
                failure => match reason(failure) {
                    Reason::Foreign => foreign += 1,
                    Reason::TimedOut => timed_out += 1,
                    reason => panic!("{reason:?}"),
                },
            }
        }
        all.push(client);
    }
    let quarantined: u64 = all.iter().map(|client| client.quarantined_total()).sum();
    assert_eq!(quarantined, foreign + timed_out, "not every connection that owes a reply was quarantined");
    // Nearly always the call's own reply comes at once. One that is lost is waited for as long as any.
    let end = Instant::now() + DRAIN_FOR + SOON;
    while all.iter().any(|client| client.quarantined_now() > 0) {
        assert!(Instant::now() < end, "a connection is still quarantined for a reply that does not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("{answered} answered, {foreign} got a foreign reply, {timed_out} timed out");
    assert!(answered > 0);
    assert!(foreign > 0, "the hazard was never there, so this has shown nothing");
    assert!(timed_out < foreign, "a Webdis that loses most replies shows nothing either");
}

/// Connects a client that has asked for something that takes a while, in the form of this store's calls.
fn half_ask(address: SocketAddr) -> StdTcpStream {
    let nonce = Nonce::new().unwrap();
    let nonce = std::str::from_utf8(nonce.as_bytes()).unwrap();
    let script = "for%20i%3D1%2C300000%20do%20end%20return%20ARGV%5B1%5D%2E%2EARGV%5B2%5D%2E%2EARGV%5B1%5D";
    let body = format!("EVAL/{script}/0/{nonce}/mallory.raw");
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = StdTcpStream::connect(address).unwrap();
    stream.write_all((head + &body).as_bytes()).unwrap();
    stream
}
