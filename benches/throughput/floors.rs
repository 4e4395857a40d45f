//! What the machine gives at best: the disk, the channel and the store, each without the rest.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rocksdb::{DB, WriteBatch};
use tokio::sync::oneshot;

use crate::hubs::store_options;
use crate::load::{Load, closed_loop, histogram};
use crate::random::Random;

/// The median of appending 4 KiB to a file and making it durable, in microseconds.
pub(crate) fn fdatasync_p50_us(directory: &Path, measured: Duration) -> f64 {
    let path = directory.join("fdatasync");
    let mut file = File::create(&path).expect("the directory takes a file");
    let block = [0x5a_u8; 4096];
    let mut latency_ns = histogram();
    let end = Instant::now() + measured;
    loop {
        let begin = Instant::now();
        if begin >= end {
            break;
        }
        file.write_all(&block).expect("the disk takes a block");
        file.sync_data().expect("the disk syncs");
        latency_ns.saturating_record(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    drop(file);
    std::fs::remove_file(&path).expect("the file can be removed");
    latency_ns.value_at_quantile(0.5) as f64 / 1_000.0
}

/// A round trip of `callers` tasks to one thread and back, with nothing done there.
pub(crate) async fn channel(callers: usize, warm_up: Duration, measured: Duration) -> Load {
    let (requests, inbox) = mpsc::channel::<oneshot::Sender<u64>>();
    let server = std::thread::spawn(move || {
        let mut answer = 0;
        for reply in inbox {
            answer += 1;
            // A caller that went away at the end of the measurement does not listen any more.
            let _ = reply.send(answer);
        }
    });
    let load = closed_loop(callers, warm_up, measured, |_| {
        let requests = requests.clone();
        move || {
            let (reply, answer) = oneshot::channel();
            requests.send(reply).expect("the thread listens until the end");
            async move {
                std::hint::black_box(answer.await.expect("the thread answers"));
            }
        }
    })
    .await;
    drop(requests);
    server.join().expect("the thread ends when the last caller is gone");
    load
}

/// How many puts a second one writer makes in batches of 64, over `keys` uniformly random keys, while a second thread
/// syncs the log again and again, as the hub's syncer does.
pub(crate) fn rocksdb_puts_per_s(directory: &Path, keys: u64, warm_up: Duration, measured: Duration) -> f64 {
    const PUTS_PER_BATCH: u64 = 64;
    let directory = directory.join(format!("rocksdb-{keys}"));
    let db = DB::open(&store_options(), &directory).expect("the directory takes a store");
    let stop = AtomicBool::new(false);
    let per_s = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                db.flush_wal(true).expect("the log syncs");
            }
        });
        let mut random = Random::new(keys);
        let value = [0x5a_u8; 100];
        let mut write_until = |end: Instant| {
            let mut puts = 0;
            while Instant::now() < end {
                let mut batch = WriteBatch::default();
                for _ in 0..PUTS_PER_BATCH {
                    batch.put(random.below(keys).to_be_bytes(), value);
                }
                db.write(batch).expect("the store takes a batch");
                puts += PUTS_PER_BATCH;
            }
            puts
        };
        write_until(Instant::now() + warm_up);
        let begin = Instant::now();
        let puts = write_until(begin + measured);
        let per_s = puts as f64 / begin.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        per_s
    });
    drop(db);
    std::fs::remove_dir_all(&directory).expect("the store can be removed");
    per_s
}
