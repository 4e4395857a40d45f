//! A process with a low limit of open files.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;

use super::stage::{Raw, config, serve};

/// Returns the CPU time of this process in hundredths of a second, read again from `file`.
fn work(file: &mut File) -> u64 {
    let mut stat = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut stat).unwrap();
    // After the name, which may contain anything: the state is the first field, the times are the twelfth and the next
    // one.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let times = fields.split(' ').skip(11).take(2);
    times.map(|time| time.parse::<u64>().unwrap()).sum()
}

/// A server that runs out of files waits without a busy loop, and continues when some are free. The test runs itself in
/// a separate process with a low limit.
#[test]
fn a_server_without_files_waits_and_goes_on() {
    let test = "http::server::tests::files::in_a_process_with_few_files";
    let ended = Command::new("sh")
        .args(["-c", "ulimit -n 48 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && stdout.contains("1 passed"), "{ended:?}");
}

#[tokio::test]
#[ignore = "run by the test above, in a process with a low limit of open files"]
async fn in_a_process_with_few_files() {
    let server = serve(config()).await;
    let mut stat = File::open("/proc/self/stat").unwrap();
    let mut open = Vec::new();
    while let Ok(socket) = TcpStream::connect(server.address()).await {
        open.push(socket);
        assert!(open.len() < 48, "the limit of open files has no effect");
    }
    // One more connection, which the server cannot accept.
    drop(open.pop());
    let mut waiting = Raw::connect(server.address()).await;
    waiting.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let before = work(&mut stat);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let worked = work(&mut stat) - before;
    assert!(
        worked < 35,
        "{worked} hundredths of a second of CPU time while the server was idle"
    );
    drop(open);
    assert!(waiting.answer().await.ends_with("here"));
}
