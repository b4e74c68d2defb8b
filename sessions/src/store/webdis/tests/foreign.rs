//! Replies to others.

use super::*;

#[tokio::test]
async fn a_foreign_reply_goes_to_nobody_and_ours_that_follows_neither() {
    let peer = Peer::new().await;
    let channels = peer.channels();
    let first = start_echo(&channels, "first");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.send(&foreign()).await;
    assert_eq!(reason(first.await.unwrap()), Reason::Foreign);
    assert_eq!((channels.poisoned_now(), channels.poisoned_total()), (1, 1));

    // More of them change nothing: ours is still to come.
    line.send(&foreign()).await;
    line.send(&ok("-NOSCRIPT No matching script\r\n")).await;
    line.send(&status("503 Service Unavailable", "")).await;

    let second = start_echo(&channels, "second");
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
    assert_eq!(channels.poisoned_now(), 1);

    line.send(&rest).await;
    line.ended().await;
    until("nothing is poisoned", || channels.poisoned_now() == 0).await;

    let third = start_echo(&channels, "third");
    let other_request = other.request().await;
    other.answer(&other_request).await;
    assert_eq!(third.await.unwrap().unwrap(), "third");
    peer.assert_alone().await;
}

#[tokio::test]
async fn a_foreign_reply_and_ours_in_one_packet_are_told_apart() {
    let peer = Peer::new().await;
    let channels = peer.channels();
    let call = start_echo(&channels, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.send(&(foreign() + &bulk(&request.nonce, "v"))).await;
    assert_eq!(reason(call.await.unwrap()), Reason::Foreign);
    line.ended().await;
    until("nothing is poisoned", || channels.poisoned_now() == 0).await;
}

#[tokio::test]
async fn a_foreign_reply_to_a_resting_connection_ends_it() {
    let peer = Peer::new().await;
    let channels = peer.channels();
    let call = start_echo(&channels, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "v");
    line.send(&foreign()).await;

    line.ended().await;

    let call = start_echo(&channels, "w");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "w");
    assert_eq!(channels.poisoned_total(), 0);
}

/// The real one: eight clients leave in the middle of their requests, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_do_not_give_us_their_replies() {
    let live = Live::new(OPEN);
    live.channels().await;
    let address = live.webdis.address();
    let (mut answered, mut foreign, mut all) = (0, 0, Vec::new());
    for round in 0..200 {
        // New connections, which get the places of those that left.
        let channels = Arc::new(live.builder().channels().unwrap());
        let leaving = tokio::task::spawn_blocking(move || {
            let clients: Vec<_> = (0..8).map(|_| half_ask(address)).collect();
            drop(clients);
        });
        leaving.await.unwrap();
        let calls: Vec<_> = (0..8)
            .map(|call| {
                let value = format!("{round}-{call}");
                (start_echo(&channels, &value), value)
            })
            .collect();
        for (call, value) in calls {
            match call.await.unwrap() {
                Ok(got) => {
                    assert_eq!(got, value);
                    answered += 1;
                }
                failure => {
                    assert_eq!(reason(failure), Reason::Foreign);
                    foreign += 1;
                }
            }
        }
        all.push(channels);
    }
    // Nearly always our own reply comes at once; but a Webdis in this state loses one now and then, and it
    // is waited for as long as for any.
    let end = Instant::now() + DRAIN_FOR + SOON;
    while all.iter().any(|channels| channels.poisoned_now() > 0) {
        assert!(Instant::now() < end, "nobody waits for a reply that does not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("{answered} answered, {foreign} got a foreign reply");
    assert!(answered > 0);
    assert!(foreign > 0, "the hazard was never there, so this has shown nothing");
}

/// A client that has asked for something that takes a while, in the same form as ours.
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
