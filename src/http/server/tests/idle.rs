//! Memory use of idle connections.

use std::time::Duration;

use super::stage::{Raw, config, serve};

/// Returns the resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Ten thousand connections that were used once and are idle take less than 200 MiB in total, including both sides. Run
/// with `--ignored`; the test opens as many connections as the process may have open files for.
#[tokio::test]
#[ignore = "opens up to ten thousand connections"]
async fn idle_connections_cost_little() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files: usize = files.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX);
    let connections = (files.saturating_sub(100) / 2).min(10_000);
    let server = serve(config().idle_timeout(Duration::from_secs(600))).await;
    let before = resident();
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Raw::connect(server.address()).await);
    }
    let connected = resident() - before;
    for raw in &mut open {
        raw.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        raw.answer().await;
    }
    let used = resident() - before;
    println!(
        "{connections} idle connections: {} KiB each when new, {} KiB each when used, {} MiB in all",
        connected / connections / 1024,
        used / connections / 1024,
        used >> 20
    );
    assert!(
        used / connections * 10_000 < 200 << 20,
        "{used} bytes for {connections} connections"
    );
    drop(open);
    server.shutdown().await.unwrap();
}
