#![allow(unused)]

use std::time::{Duration, Instant, SystemTime};

use abide::prelude::*;

// These stand-ins for other crates compile, so that only the lint reports errors.
mod chrono {
    pub struct Utc;
    impl Utc {
        pub fn now() {}
    }
}

mod uuid {
    pub struct Uuid;
    impl Uuid {
        pub fn new_v4() {}
    }
}

mod rand {
    pub fn random() -> u8 {
        4
    }
    pub fn thread_rng() {}
}

mod fastrand {
    pub fn bool() -> bool {
        true
    }
}

mod reqwest {
    pub async fn get(_: &str) {}
}

mod futures {
    pub mod executor {
        pub fn block_on<T>(_: T) {}
    }
    macro_rules! select {
        ($($tokens:tt)*) => {};
    }
    pub(crate) use select;
}

use rand::{random, thread_rng};
use tokio::time::sleep;

#[orchestration]
async fn clocks(ctx: OrchestrationContext) {
    let begin = Instant::now();
    let now = SystemTime::now();
    let now = <std::time::SystemTime>::now();
    let now = chrono::Utc::now();
    let late = begin.elapsed() > Duration::ZERO;
}

#[orchestration]
async fn ids(ctx: OrchestrationContext) {
    let id = uuid::Uuid::new_v4();
}

#[orchestration]
async fn chance(ctx: OrchestrationContext) {
    let draw = rand::random();
    let draw = random();
    thread_rng();
    let coin = fastrand::bool();
    let hash = std::collections::hash_map::RandomState::new();
}

#[orchestration]
async fn timers(ctx: OrchestrationContext) {
    tokio::time::sleep(Duration::ZERO).await;
    sleep(Duration::ZERO).await;
    std::thread::sleep(Duration::ZERO);
    let _ = tokio::time::timeout(Duration::ZERO, async {}).await;
}

#[orchestration]
async fn tasks(ctx: OrchestrationContext) {
    tokio::spawn(async {});
    tokio::task::spawn_blocking(|| {});
    std::thread::spawn(|| {});
    let channel = tokio::sync::oneshot::channel::<u8>();
    tokio::join!(async {}, async {});
    tokio::pin! {
        let step = async {};
    }
    futures::executor::block_on(async {});
    let runtime = tokio::runtime::Handle::current();
}

#[orchestration]
async fn outside(ctx: OrchestrationContext) {
    let text = std::fs::read_to_string("file");
    let file = std::fs::File::open("file");
    let stream = std::net::TcpStream::connect("address");
    let home = std::env::var("HOME");
    let child = std::process::Command::new("ls");
    reqwest::get("address").await;
}

#[orchestration]
async fn races(ctx: OrchestrationContext) {
    futures::select! { first = a => {}, second = b => {} }
    tokio::select! {
        () = async {} => {}
        () = async {} => { let begin = Instant::now(); }
    }
    tokio::select! {
        biased;
        () = async {} => {}
    }
}

#[orchestration]
async fn everywhere(ctx: OrchestrationContext) {
    use tokio::task;
    let read = || SystemTime::now();
    let wait = async { SystemTime::now() };
    fn nested() -> SystemTime {
        SystemTime::now()
    }
    println!("{:?}", SystemTime::now());
    let reads = [()].map(|()| [SystemTime::now]);
}

#[orchestration]
#[allow(nondeterminism)]
async fn allowed_as_a_whole(ctx: OrchestrationContext) {
    // The attribute allows only the statement that follows it.
    #[allow(nondeterminism)]
    let begin = SystemTime::now();
    let end = SystemTime::now();
}

fn main() {}
