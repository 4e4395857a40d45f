//! The best case of this machine: the disk, a channel, the store and a bare log, each measured alone.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use rocksdb::{DB, WriteBatch};
use tokio::sync::oneshot;

use crate::hubs::store_options;
use crate::load::{Load, closed_loop, histogram};
use crate::random::Random;

/// The median time to append 4 KiB to a file and sync it, in microseconds.
pub(crate) fn fdatasync_p50_us(directory: &Path, measured: Duration) -> f64 {
    let path = directory.join("fdatasync");
    let mut file = File::create(&path).expect("the file can be created");
    let block = [0x5a_u8; 4096];
    let mut latency_ns = histogram();
    let end = Instant::now() + measured;
    loop {
        let begin = Instant::now();
        if begin >= end {
            break;
        }
        file.write_all(&block).expect("the block can be written");
        file.sync_data().expect("the file can be synced");
        latency_ns.saturating_record(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    drop(file);
    std::fs::remove_file(&path).expect("the file can be removed");
    latency_ns.value_at_quantile(0.5) as f64 / 1_000.0
}

/// Round trips from `callers` tasks to a thread that replies without doing any work.
pub(crate) async fn channel(callers: usize, warm_up: Duration, measured: Duration) -> Load {
    let (requests, inbox) = mpsc::channel::<oneshot::Sender<u64>>();
    let server = std::thread::spawn(move || {
        let mut answer = 0;
        for reply in inbox {
            answer += 1;
            // The caller may be gone at the end of the measurement.
            let _ = reply.send(answer);
        }
    });
    let load = closed_loop(callers, warm_up, measured, |_| {
        let requests = requests.clone();
        move || {
            let (reply, answer) = oneshot::channel();
            requests.send(reply).expect("the thread receives until the end");
            async move {
                std::hint::black_box(answer.await.expect("the thread replies"));
            }
        }
    })
    .await;
    drop(requests);
    server.join().expect("the thread exits when the last caller is gone");
    load
}

/// Number of rows in one batch.
const PUTS_PER_BATCH: u64 = 64;

/// The value of each row.
const VALUE: [u8; 100] = [0x5a; 100];

/// Number of puts per second of one writer, in batches of 64, over `keys` uniformly random keys. A second thread syncs
/// the log repeatedly, like the hub's syncer.
pub(crate) fn rocksdb_puts_per_s(directory: &Path, keys: u64, warm_up: Duration, measured: Duration) -> f64 {
    let directory = directory.join(format!("rocksdb-{keys}"));
    let db = DB::open(&store_options(), &directory).expect("the store can be created");
    let stop = AtomicBool::new(false);
    let per_s = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                db.flush_wal(true).expect("the log can be synced");
            }
        });
        let mut random = Random::new(keys);
        let mut write_until = |end: Instant| {
            let mut puts = 0;
            while Instant::now() < end {
                let mut batch = WriteBatch::default();
                for _ in 0..PUTS_PER_BATCH {
                    batch.put(random.below(keys).to_be_bytes(), VALUE);
                }
                db.write(batch).expect("the batch can be written");
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

/// Number of rows per second that one writer appends to a bare log, in batches of 64.
///
/// The rows have the same size as the puts above. A second thread repeatedly writes the gathered rows and syncs them.
/// The file has its full size from the start, and nothing is read.
pub(crate) fn log_appends_per_s(directory: &Path, warm_up: Duration, measured: Duration) -> f64 {
    const FILE_BYTES: usize = 64 << 20;
    /// Maximum number of bytes that wait for the disk. A writer that is faster than the disk waits.
    const GATHERED_BYTES: usize = 16 << 20;
    let path = directory.join("log");
    let mut file = File::create(&path).expect("the file can be created");
    file.write_all(&vec![0; FILE_BYTES]).expect("the file can be filled");
    file.sync_data().expect("the file can be synced");
    let gathered = Mutex::new((Vec::new(), false));
    let changed = Condvar::new();
    let locked = || gathered.lock().expect("no thread panics");
    let per_s = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut bytes, mut at) = (Vec::new(), 0);
            loop {
                let empty = changed.wait_while(locked(), |(bytes, stop)| bytes.is_empty() && !*stop);
                let mut state = empty.expect("no thread panics");
                std::mem::swap(&mut state.0, &mut bytes);
                drop(state);
                changed.notify_all();
                if bytes.is_empty() {
                    return;
                }
                if at + bytes.len() > FILE_BYTES {
                    at = 0;
                }
                file.write_all_at(&bytes, at as u64).expect("the rows can be written");
                file.sync_data().expect("the file can be synced");
                at += bytes.len();
                bytes.clear();
            }
        });
        let mut random = Random::new(0);
        let mut append_until = |end: Instant| {
            let mut rows = 0;
            while Instant::now() < end {
                let full = changed.wait_while(locked(), |(bytes, _)| bytes.len() >= GATHERED_BYTES);
                let mut state = full.expect("no thread panics");
                let was_empty = state.0.is_empty();
                for _ in 0..PUTS_PER_BATCH {
                    state.0.extend_from_slice(&random.below(u64::MAX).to_be_bytes());
                    state.0.extend_from_slice(&VALUE);
                }
                drop(state);
                if was_empty {
                    changed.notify_all();
                }
                rows += PUTS_PER_BATCH;
            }
            rows
        };
        append_until(Instant::now() + warm_up);
        let begin = Instant::now();
        let rows = append_until(begin + measured);
        let per_s = rows as f64 / begin.elapsed().as_secs_f64();
        locked().1 = true;
        changed.notify_all();
        per_s
    });
    std::fs::remove_file(&path).expect("the file can be removed");
    per_s
}
