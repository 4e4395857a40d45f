//! Micro-benchmarks: creating and parsing IDs, and one call through an in-memory hub.
//!
//! `cargo bench --bench small`. The large measurements are in `benches/throughput`.

use std::hint::black_box;

use abide::EntityId;
use abide::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Counter {
    total: i64,
}

#[operations]
impl Counter {
    pub fn add(&mut self, n: i64) -> i64 {
        self.total += n;
        self.total
    }
}

/// Creating an ID validates and hashes it. The hash routes a message to its partition.
fn ids(criterion: &mut Criterion) {
    criterion.bench_function("id/new", |bencher| {
        bencher.iter(|| EntityId::new(black_box("counter"), black_box("alice")));
    });
    criterion.bench_function("id/parse", |bencher| {
        bencher.iter(|| black_box("@counter@alice").parse::<EntityId>());
    });
}

/// A complete call over the in-memory store: routing, JSON in both directions, the turn and the gate.
fn dispatch(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let hub = runtime
        .block_on(Hub::in_memory().entity::<Counter>().open())
        .expect("the hub opens");
    let client = hub.client();
    let mut group = criterion.benchmark_group("dispatch");
    group.throughput(Throughput::Elements(1));
    group.bench_function("call", |bencher| {
        bencher.iter(|| {
            let add = client.entity::<Counter>("alice").add(black_box(1));
            runtime.block_on(add).expect("the call succeeds")
        });
    });
    group.finish();
    runtime.block_on(hub.shutdown()).expect("the hub closes");
}

criterion_group!(benches, ids, dispatch);
criterion_main!(benches);
