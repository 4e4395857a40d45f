//! HTTP requests of orchestrations to small servers in this process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use abide::prelude::*;
use abide::{
    HubBuilder,
    http_client::{HttpError, HttpRequest, HttpResponse},
};

/// The maximum time that any step here waits.
const PATIENCE: Duration = Duration::from_secs(20);

#[orchestration]
async fn ask(ctx: OrchestrationContext, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    ctx.call_http(request).await.map_err(returned)
}

/// Tries each exchange three times, without a pause.
#[orchestration]
async fn insist(ctx: OrchestrationContext, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let policy = RetryPolicy::new(3).first_interval(Duration::ZERO);
    ctx.call_http(request).retry(policy).await.map_err(returned)
}

/// Tries each exchange three times, with a pause that no test waits for.
#[orchestration]
async fn insist_slowly(ctx: OrchestrationContext, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let policy = RetryPolicy::new(3).first_interval(Duration::from_secs(3600));
    ctx.call_http(request).retry(policy).await.map_err(returned)
}

/// Sends a request, and drops the call on the event `enough`.
#[orchestration]
async fn give_up(ctx: OrchestrationContext, request: HttpRequest) -> Result<(), HttpError> {
    let call = ctx.call_http(request);
    let event = ctx.wait_for_external_event::<()>("enough").await;
    drop(call);
    // The hub cancels a dropped call at the end of the turn. Without this timer, the end of the orchestration would.
    ctx.create_timer(Duration::from_millis(1)).await;
    event.map_err(|error| panic!("{error}"))
}

fn returned(error: CallError<HttpError>) -> HttpError {
    error.into_returned().unwrap()
}

fn with_orchestrations(hub: HubBuilder) -> HubBuilder {
    hub.orchestration::<ask>()
        .orchestration::<insist>()
        .orchestration::<insist_slowly>()
        .orchestration::<give_up>()
}

/// Opens an in-memory hub, which replays the complete history at every turn and so detects non-determinism.
async fn hub() -> Hub {
    with_orchestrations(Hub::in_memory()).open().await.unwrap()
}

async fn answer(hub: &Hub, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let run = hub.client().start::<ask>(request).await.unwrap();
    run.result_within(PATIENCE).await.map_err(returned)
}

/// A request that a server received.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    at: Instant,
}

impl Asked {
    /// Reads one request. Returns `None` if the input is not a request.
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            reader.by_ref().take(10_000).read_until(b'\n', &mut line).ok()?;
            let line = String::from_utf8(line).ok()?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let header = |line: &String| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let mut asked = Self {
            line: lines.first()?.clone(),
            headers: lines[1..].iter().map(header).collect(),
            body: Vec::new(),
            at: Instant::now(),
        };
        let length = asked
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        asked.body = vec![0; length];
        reader.read_exact(&mut asked.body).ok()?;
        Some(asked)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A server on loopback with one thread per connection. Dropping it stops it.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    closing: Arc<AtomicBool>,
    accepting: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts a server that calls `reply` for every request, with the number of earlier requests and the connection.
    fn start(reply: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let closing = Arc::new(AtomicBool::new(false));
        let (reply, noted, ends) = (Arc::new(reply), Arc::clone(&asked), Arc::clone(&closing));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                let (reply, noted) = (Arc::clone(&reply), Arc::clone(&noted));
                std::thread::spawn(move || {
                    let Some(asked) = Asked::read(&stream) else { return };
                    let before = {
                        let mut noted = noted.lock().unwrap();
                        noted.push(asked);
                        noted.len() - 1
                    };
                    reply(before, &mut stream);
                });
            }
        });
        Self {
            address,
            asked,
            closing,
            accepting: Some(accepting),
        }
    }

    /// Starts a server that sends `replies` in order, and then the last one repeatedly.
    fn replying(replies: Vec<String>) -> Self {
        Self::start(move |before, stream| {
            let reply = &replies[before.min(replies.len() - 1)];
            stream.write_all(reply.as_bytes()).unwrap();
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        let asked = self.asked();
        asked.iter().map(|asked| asked.line.replace(" HTTP/1.1", "")).collect()
    }

    async fn until_asked(&self, times: usize) {
        let begun = Instant::now();
        while self.asked().len() < times {
            assert!(begun.elapsed() < PATIENCE, "the server received {:?}", self.lines());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.accepting.take().unwrap().join().unwrap();
    }
}

fn reply(status: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text + "\r\n" + body
}

fn accepted(location: &str, retry_after: &str) -> String {
    reply(
        "202 Accepted",
        &[("Location", location), ("Retry-After", retry_after)],
        "wait",
    )
}

/// Waits until the peer, which sends nothing more, has closed the connection.
fn until_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Ok(0)) || matches!(stream.take_error(), Ok(Some(_)))
}

/// Method, headers, body and response are transmitted unchanged. The idempotency key is that of the activity unless the
/// request has one.
#[tokio::test]
async fn a_request_and_its_response_are_transmitted_unchanged() {
    let server = Server::start(|before, stream| {
        let text = match before {
            0 => reply("200 OK", &[("X-Kind", "plain")], "hello"),
            1 => reply("404 Not Found", &[], "{\"n\": 1}"),
            _ => "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 3\r\n\r\n".to_owned(),
        };
        stream.write_all(text.as_bytes()).unwrap();
        if before == 2 {
            stream.write_all(&[0xff, 0x00, 0xfe]).unwrap();
        }
    });
    let hub = hub().await;
    let run = hub.client().start::<ask>(HttpRequest::get(server.url("/a?b=c")));
    let run = run.instance_id("höflich %").await.unwrap();
    let got = run.result_within(PATIENCE).await.unwrap();
    assert_eq!((got.status, got.is_success()), (200, true));
    assert_eq!(got.header("x-kind"), Some("plain"));
    assert_eq!(got.text().unwrap(), "hello");

    let request = HttpRequest::post(server.url("/post")).header("idempotency-key", "mine");
    let got = answer(&hub, request.json(&["ä"]).unwrap()).await.unwrap();
    assert_eq!((got.status, got.is_success()), (404, false));
    assert_eq!(got.json::<serde_json::Value>().unwrap()["n"], 1);
    assert!(got.json::<String>().unwrap_err().to_string().contains("status 404"));

    // A redirect is returned as a response. Bodies may be binary and methods may be nonstandard.
    let got = answer(&hub, HttpRequest::new("PURGE", server.url("/post")).body([0xff])).await;
    let got = got.unwrap();
    assert_eq!((got.status, got.body.as_slice()), (302, &[0xff, 0x00, 0xfe][..]));

    assert_eq!(server.lines(), ["GET /a?b=c", "POST /post", "PURGE /post"]);
    let [get, post, purge] = &server.asked()[..] else {
        panic!()
    };
    let key = get.header("idempotency-key").unwrap();
    assert!(key.starts_with("h%C3%B6flich%20%25/"), "{key}");
    assert_eq!((get.header("content-length"), get.body.len()), (None, 0));
    assert_eq!(post.header("idempotency-key"), Some("mine"));
    assert_eq!(post.header("content-type"), Some("application/json"));
    assert_eq!(post.body, "[\"ä\"]".as_bytes());
    assert_eq!(purge.body, [0xff]);
    hub.shutdown().await.unwrap();
}

/// A 202 with a `Location` is polled after `Retry-After`, with the headers that do not describe the body.
#[tokio::test]
async fn an_accepted_request_is_polled() {
    let long_ago = "Sun, 06 Nov 1994 08:49:37 GMT";
    let server = Server::replying(vec![
        accepted("/job", "0"),
        accepted("/job", "0"),
        accepted("/job", long_ago),
        accepted("/job", long_ago),
        accepted("/job", "1"),
        reply("202 Accepted", &[("Location", "/job")], ""),
        reply("200 OK", &[], "done"),
    ]);
    let hub = hub().await;
    let request = HttpRequest::post(server.url("/start"))
        .header("Authorization", "Bearer b")
        .header("Idempotency-Key", "mine")
        .json(&1)
        .unwrap();
    assert_eq!(answer(&hub, request).await.unwrap().text().unwrap(), "done");
    let mut lines = vec!["GET /job"; 7];
    lines[0] = "POST /start";
    assert_eq!(server.lines(), lines);
    let asked = server.asked();
    let between = |from: usize, to: usize| asked[to].at - asked[from].at;
    // Timers have a resolution of one millisecond. With the default of one second, four polls would take four seconds.
    assert!(between(0, 4) < Duration::from_secs(4), "{:?}", between(0, 4));
    for n in [4, 5] {
        assert!(
            between(n, n + 1) >= Duration::from_millis(990),
            "{:?}",
            between(n, n + 1)
        );
    }
    for poll in &asked[1..] {
        assert_eq!(poll.header("authorization"), Some("Bearer b"));
        assert_eq!((poll.header("content-type"), poll.body.len()), (None, 0));
        assert_ne!(poll.header("idempotency-key"), Some("mine"));
    }
    hub.shutdown().await.unwrap();
}

/// A relative `Location` is resolved against the URL of its response. Another server receives no credentials.
#[tokio::test]
async fn a_location_is_resolved_against_the_url_that_gave_it() {
    let other = Server::replying(vec![reply("200 OK", &[], "end")]);
    let (authority, end) = (Arc::new(Mutex::new(String::new())), other.url("/e"));
    let written = Arc::clone(&authority);
    let server = Server::start(move |before, stream| {
        let locations = [
            "/b/./c/../d?x=1",
            "e;f",
            "?y=/2",
            "",
            "../../up/..",
            &format!("//{}/g#part", written.lock().unwrap()),
            &end,
        ];
        stream.write_all(accepted(locations[before], "0").as_bytes()).unwrap();
    });
    *authority.lock().unwrap() = server.address.to_string();
    let hub = hub().await;
    let request = HttpRequest::get(server.url("/a?q"))
        .header("Authorization", "Bearer b")
        .header("Accept", "text/plain");
    assert_eq!(answer(&hub, request.clone()).await.unwrap().text().unwrap(), "end");
    let expected = [
        "GET /a?q",
        "GET /b/d?x=1",
        "GET /b/e;f",
        "GET /b/e;f?y=/2",
        "GET /b/e;f?y=/2",
        "GET /",
        "GET /g",
    ];
    assert_eq!(server.lines(), expected);
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked.header("authorization").is_some())
    );
    let [asked] = &other.asked()[..] else { panic!() };
    assert_eq!(
        (asked.line.as_str(), asked.header("authorization")),
        ("GET /e HTTP/1.1", None)
    );
    assert_eq!(asked.header("accept"), Some("text/plain"));

    let server = Server::replying(vec![accepted("/job", "0")]);
    let request = HttpRequest::get(server.url("/")).poll_202(false);
    assert_eq!(answer(&hub, request).await.unwrap().status, 202);
    hub.shutdown().await.unwrap();
}

/// Each kind of failure has its error, and only those that a retry may fix are retried.
#[tokio::test]
async fn failures_keep_their_types() {
    let hub = hub().await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = answer(&hub, HttpRequest::get(format!("http://{closed}/"))).await;
    assert!(
        matches!(&refused, Err(HttpError::ConnectionFailed { url, .. }) if url.ends_with('/')),
        "{refused:?}"
    );

    for url in ["nonsense", "/path", "ftp://example.com/", "http:///", "http://a b/"] {
        let run = hub
            .client()
            .start::<insist_slowly>(HttpRequest::get(url))
            .await
            .unwrap();
        let error = run.result_within(PATIENCE).await.map_err(returned);
        assert!(
            matches!(&error, Err(HttpError::InvalidUrl { url: reported, .. }) if reported == url),
            "{error:?}"
        );
    }
    let bad = HttpRequest::get("http://127.0.0.1:1/").header("no spaces", "");
    assert!(matches!(answer(&hub, bad).await, Err(HttpError::InvalidRequest { .. })));

    // A server without TLS, and one that closes the connection before it responds.
    let rude = Server::start(|_, _| {});
    let error = answer(&hub, HttpRequest::get(rude.url("/").replace("http", "https"))).await;
    assert!(matches!(error, Err(HttpError::ConnectionFailed { .. })), "{error:?}");
    let failing = Server::start(|before, stream| {
        if before >= 2 {
            stream.write_all(reply("503 Busy", &[], "").as_bytes()).unwrap();
        }
    });
    let run = hub
        .client()
        .start::<insist>(HttpRequest::get(failing.url("/")))
        .await
        .unwrap();
    assert_eq!(run.result_within(PATIENCE).await.unwrap().status, 503);
    let asked = failing.asked();
    assert_eq!(asked.len(), 3);
    let first = asked[0].header("idempotency-key");
    assert!(first.is_some() && asked.iter().all(|asked| asked.header("idempotency-key") == first));
    hub.shutdown().await.unwrap();
}

/// Each exchange and the whole call have a time limit, and dropping a call closes its connection.
#[tokio::test]
async fn nothing_waits_longer_than_it_should() {
    let closed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&closed);
    let silent = Server::start(move |_, stream| {
        counted.fetch_add(usize::from(until_closed(stream)), Ordering::SeqCst);
    });
    let hub = hub().await;
    let limit = Duration::from_millis(100);
    let timed_out = |url: String| HttpError::TimedOut { url, after: limit };
    let short = HttpRequest::get(silent.url("/short")).exchange_timeout(limit);
    assert_eq!(answer(&hub, short).await.unwrap_err(), timed_out(silent.url("/short")));
    let whole = HttpRequest::get(silent.url("/whole")).timeout(limit);
    assert_eq!(answer(&hub, whole).await.unwrap_err(), timed_out(silent.url("/whole")));
    let job = Server::replying(vec![accepted("/job", "3600")]);
    let polled = HttpRequest::get(job.url("/")).timeout(limit);
    assert_eq!(answer(&hub, polled).await.unwrap_err(), timed_out(job.url("/")));

    // The request is sent although the call is not awaited.
    let dropped = hub.client().start::<give_up>(HttpRequest::get(silent.url("/dropped")));
    let dropped = dropped.await.unwrap();
    silent.until_asked(3).await;
    assert_eq!(closed.load(Ordering::SeqCst), 2);
    dropped.raise_event("enough", ()).await.unwrap();
    dropped.result_within(PATIENCE).await.unwrap();
    let begun = Instant::now();
    while closed.load(Ordering::SeqCst) < 3 {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hub.shutdown().await.unwrap();
}

/// If the hub closes while an orchestration waits for its next poll, polling continues at the next open. The first
/// request is not repeated.
#[tokio::test]
async fn polling_continues_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::replying(vec![
        accepted("/job", "1"),
        accepted("/job", "1"),
        reply("200 OK", &[], "done"),
    ]);
    let open = || with_orchestrations(Hub::builder(directory.path())).open();
    let hub = open().await.unwrap();
    let begun = SystemTime::now();
    let request = HttpRequest::post(server.url("/start")).body("work");
    hub.client().start::<ask>(request).instance_id("job").await.unwrap();
    server.until_asked(2).await;
    hub.shutdown().await.unwrap();
    let hub = open().await.unwrap();
    let run = hub.client().orchestration::<ask>("job");
    assert_eq!(run.result_within(PATIENCE).await.unwrap().text().unwrap(), "done");
    assert_eq!(server.lines()[0], "POST /start");
    let polls = &server.lines()[1..];
    // If the second response was not durable when the hub closed, its poll is repeated.
    assert!(
        matches!(polls.len(), 2 | 3) && polls.iter().all(|line| line == "GET /job"),
        "{polls:?}"
    );
    assert!(begun.elapsed().unwrap() >= Duration::from_secs(1));
    hub.shutdown().await.unwrap();
}

/// A response is not read beyond the payload limit, whatever length the server declares.
#[tokio::test]
async fn an_answer_is_not_read_beyond_the_limit() {
    const LIMIT: usize = 10_000;
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let flood = Server::start(move |before, stream| {
        let length = [
            "Content-Length: 9000",
            "Content-Length: 1000000000",
            "Connection: close",
        ][before];
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n").as_bytes())
            .unwrap();
        let mut left = if before == 0 { 9_000 } else { 1_000_000_000 };
        while left > 0 && stream.write_all(&[b'x'; 1_000]).is_ok() {
            left -= 1_000;
            counted.fetch_add(1_000, Ordering::SeqCst);
        }
    });
    let hub = with_orchestrations(Hub::in_memory())
        .payload_limit(LIMIT)
        .open()
        .await
        .unwrap();
    assert_eq!(
        answer(&hub, HttpRequest::get(flood.url("/"))).await.unwrap().body.len(),
        9_000
    );
    for _ in 0..2 {
        let error = answer(&hub, HttpRequest::get(flood.url("/"))).await.unwrap_err();
        assert_eq!(
            error,
            HttpError::TooLarge {
                url: flood.url("/"),
                limit: LIMIT
            }
        );
    }
    // The buffers of the two connections contain some megabytes that were never read.
    assert!(written.load(Ordering::SeqCst) < 100_000_000);

    // Each of these characters takes at least two bytes as JSON.
    let quotes = Server::replying(vec![reply("200 OK", &[], &"\"".repeat(6_000))]);
    let error = answer(&hub, HttpRequest::get(quotes.url("/"))).await;
    assert!(
        matches!(error, Err(HttpError::TooLarge { limit: LIMIT, .. })),
        "{error:?}"
    );
    hub.shutdown().await.unwrap();
}
