//! The trace of an orchestration in the log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::http::Method;

use crate::fixture::Api;

/// The log of this process, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Log records of an orchestration contain the trace of its caller, if it has one.
#[tokio::test]
async fn the_span_of_an_orchestration_names_its_trace() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let api = Api::open().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let start = "/orchestrators/logs/traced?timeout=30";
    api.send(Method::POST, start, &[("traceparent", parent)], "")
        .await
        .is(200);
    api.post("/orchestrators/logs/plain?timeout=30", "").await.is(200);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let logged = |id: &str| {
        let mut lines = log
            .lines()
            .filter(|line| line.contains("logged") && line.contains(&format!("instance={id}")));
        lines.next().unwrap_or_else(|| panic!("{log}")).to_owned()
    };
    assert!(logged("traced").contains(&format!("traceparent=\"{parent}\"")), "{log}");
    assert!(!logged("plain").contains("traceparent"), "{log}");
}
