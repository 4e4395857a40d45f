//! The fuzz target `http_requests` with fixed inputs: its corpus, and thousands of requests that are mutations and
//! combinations of the corpus.

mod drive;
mod fuzzed;

use std::collections::BTreeMap;
use std::path::Path;

use self::drive::drive;

/// Fragments of valid and invalid requests.
const WORDS: &[&str] = &[
    "%2F",
    "%00",
    "%ff",
    "%",
    "%zz",
    "%25",
    "..",
    "//",
    "/",
    "?",
    "&",
    "=",
    "#",
    "$",
    "@",
    "\n",
    "\n\n",
    ":",
    ": ",
    " ",
    "\t",
    "null",
    "true",
    "1",
    "0",
    "-1",
    "1e999",
    "18446744073709551616",
    "NaN",
    "{}",
    "[]",
    "\"",
    "\\u0000",
    "\u{e9}",
    "{",
    "[[[[[[[[",
    "GET",
    "POST",
    "DELETE",
    "HEAD",
    "PUT",
    "OPTIONS",
    "TRACE",
    "one",
    "echoes",
    "counts",
    "waits",
    "Counter",
    "add",
    "go",
    "instances",
    "entities",
    "orchestrators",
    "raiseEvent",
    "terminate",
    "rewind",
    "restart",
    "history",
    "op=add",
    "wait=true",
    "top=",
    "timeout=0.001",
    "pollingInterval=",
    "createdTimeFrom=",
    "2026-11-20T13:40:21.5Z",
    "-9999-01-01T00:00:00Z",
    "runtimeStatus=",
    "Completed,Running",
    "showHistory=true",
    "showHistoryOutput=true",
    "showInput=false",
    "fetchState=true",
    "lastOperationTimeFrom=",
    "instanceIdPrefix=",
    "unregistered=true",
    "reason=",
    "version=",
    "restartWithNewInstanceId=false",
    "code=",
    "taskHub=",
    "x-ms-continuation-token: ",
    "idempotency-key: ",
    "content-type: application/json",
    "content-type: text/plain",
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate: a=b",
    "host: localhost",
    "host: evil",
    "origin: null",
    "user-agent: Python/3.12 aiohttp/3.9",
    "accept: text/html",
    "expect: 100-continue",
];

/// A deterministic sequence of pseudorandom numbers.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit.max(1)
    }
}

/// Mutates a request in one place, or splices it with another.
fn mutate(input: &mut Vec<u8>, other: &[u8], chance: &mut Sequence) {
    // Half of the mutations are after the path, so that enough requests reach a route.
    let path = input
        .iter()
        .position(|byte| b"?\n".contains(byte))
        .unwrap_or(input.len());
    let from = if chance.below(2) == 0 { path } else { 0 };
    let at = from + chance.below(input.len() + 1 - from);
    let to = (at + chance.below(12)).min(input.len());
    match chance.below(8) {
        0 => drop(input.drain(at..to)),
        1 => {
            let copy = input[at..to].to_vec();
            input.splice(at..at, copy);
        }
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = chance.next() as u8;
            }
        }
        3 => {
            let from = chance.below(other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        4 => drop(input.splice(at..to, WORDS[chance.below(WORDS.len())].bytes())),
        5 => {
            let many = vec![b'x'; 1 << chance.below(12)];
            input.splice(at..at, many);
        }
        _ => drop(input.splice(at..at, WORDS[chance.below(WORDS.len())].bytes())),
    }
}

/// For any input, no handler panics, no response is an internal error, and every error has the common body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_bytes_are_answered_properly() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/http_requests");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(seeds.len() >= 30, "the corpus was not found");
    let mut chance = Sequence(0x9E37_79B9_7F4A_7C15);
    let mut statuses = BTreeMap::new();
    let mut driven = 0;
    // Each round has a new hub, so that lists stay short.
    for _ in 0..20 {
        let (hub, router) = fuzzed::open().await;
        for seed in &seeds {
            let status = drive(&router, seed).await.expect("a seed is a request");
            *statuses.entry(status.as_u16()).or_insert(0) += 1;
        }
        let mut here = 0;
        while here < 1_000 {
            let mut input = seeds[chance.below(seeds.len())].clone();
            for _ in 0..1 + chance.below(4) {
                let other = &seeds[chance.below(seeds.len())];
                mutate(&mut input, other, &mut chance);
            }
            // Inputs that are not requests do not count.
            if let Some(status) = drive(&router, &input).await {
                *statuses.entry(status.as_u16()).or_insert(0) += 1;
                here += 1;
            }
        }
        driven += here;
        hub.shutdown().await.unwrap();
    }
    println!("{driven} requests: {statuses:?}");
    assert!(driven >= 10_000);
    for status in [200, 202, 400, 404, 405] {
        assert!(
            statuses.contains_key(&status),
            "no response had the status {status}: {statuses:?}"
        );
    }
}
