//! The bytes of requests and replies.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_comes_back_as_it_was_sent() {
    let live = LiveWebdis::new(OPEN);
    let client = live.client().await;
    for byte in 0..=255_u8 {
        assert_eq!(echo(&client, &[byte]).await.unwrap(), [byte].as_slice(), "{byte}");
    }
    let all: Vec<u8> = (0..=255).collect();
    let long = all.repeat(1000);
    let values: [&[u8]; 9] =
        [b"", b"a.json", b".raw", b"../..", b"%2e%2e", b"a/b//", b"?type=x", b"+ +", b"\r\n\r\n"];
    for value in values.into_iter().chain([all.as_slice(), &long]) {
        assert_eq!(echo(&client, value).await.unwrap(), value);
    }
    assert_eq!((client.quarantined_now(), client.quarantined_total()), (0, 0));
}

#[tokio::test]
async fn a_request_leaves_in_one_piece_and_says_nothing_else() {
    let peer = Peer::new().await;
    let url = peer.url();
    let builder = peer.builder().with_basic_auth("Aladdin", "open sesame");
    let client = Arc::new(builder.client().unwrap());
    let mut line = None;
    for value in ["x".repeat(30_000), "y".into(), String::new()] {
        let call = start_echo(&client, &value);
        if line.is_none() {
            line = Some(peer.accept().await);
        }
        let line = line.as_mut().unwrap();
        let request = line.request().await;
        assert_eq!(request.reads, 1, "the body came after the head");
        let length = request.text.split_once("\r\n\r\n").unwrap().1.len();
        let expected = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nauthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\
             content-length: {length}\r\n\r\nEVAL/return%20ARGV%5B1%5D%2E%2EARGV%5B2%5D%2E%2EARGV%5B1%5D/0/{}/{value}.raw",
            url.strip_prefix("http://").unwrap(),
            request.nonce,
        );
        assert_eq!(request.text, expected);
        line.answer(&request).await;
        assert_eq!(call.await.unwrap().unwrap(), value);
    }
    peer.assert_alone().await;
}

#[tokio::test]
async fn answers_may_come_in_chunks() {
    let peer = Peer::new().await;
    let client = peer.client();
    let call = start_echo(&client, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    let nonce = &request.nonce;
    line.send(&format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n$65\r\n\r\n20\r\n{nonce}\r\n"
    ))
    .await;
    line.send(&format!("23\r\nv{nonce}\r\n\r\n0\r\n\r\n")).await;
    assert_eq!(call.await.unwrap().unwrap(), "v");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (peer, other) = (Peer::new().await, Peer::new().await);
    let client = peer.client();
    for code in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let call = start_echo(&client, "v");
        let mut line = peer.accept().await;
        line.request().await;
        let location = format!("{code}\r\nLocation: {}/", other.url());
        line.send(&status(&location, "")).await;
        let expected: u16 = code[..3].parse().unwrap();
        assert_eq!(reason(call.await.unwrap()), Reason::Status(StatusCode::from_u16(expected).unwrap()));
        other.assert_alone().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_in_the_environment_is_ignored() {
    const CHILD: &str = "SESSIONS_WEBDIS_TEST_URL";
    if let Ok(url) = std::env::var(CHILD) {
        let client = WebdisStoreBuilder::new(url).with_timeout(SOON).client().unwrap();
        echo(&client, b"x").await.unwrap();
        return;
    }
    let live = LiveWebdis::new(OPEN);
    live.client().await;
    let proxy = Peer::new().await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "store::webdis::tests::exchange::a_proxy_in_the_environment_is_ignored"]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"] {
        child.env(name, proxy.url());
    }
    child.env_remove("no_proxy").env_remove("NO_PROXY").env(CHILD, live.url());
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    proxy.assert_alone().await;
}
