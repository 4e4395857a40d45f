//! The limits of the figures. Most are ratios to other figures of the same run, because machines differ.

use comfy_table::Table;

use crate::report::{Report, align_right, plain_table, readable};

const MIB: f64 = 1_048_576.0;

/// A bound on one figure: `factor` times another figure of the run, plus `offset`.
#[derive(Clone, Copy)]
struct Bound {
    factor: f64,
    offset: f64,
}

/// The limits of one figure.
struct Limit {
    figure: &'static str,
    /// The figure that the factor applies to. Without one, only the offset counts.
    base: Option<&'static str>,
    /// Whether the value has to be below the bound (latencies, times and bytes) or above it (rates).
    below: bool,
    must: Bound,
    aim: Bound,
}

const fn times(factor: f64) -> Bound {
    Bound { factor, offset: 0.0 }
}

const fn at(offset: f64) -> Bound {
    Bound { factor: 0.0, offset }
}

const fn times_plus(factor: f64, offset: f64) -> Bound {
    Bound { factor, offset }
}

fn limits(memory_budget_mib: f64) -> [Limit; 27] {
    let below = |figure, base, must, aim| Limit {
        figure,
        base,
        below: true,
        must,
        aim,
    };
    let above = |figure, base, must, aim| Limit {
        figure,
        base: Some(base),
        below: false,
        must: times(must),
        aim: times(aim),
    };
    [
        below(
            "entity.call.callers1.p50_us",
            Some("floor.fdatasync.p50_us"),
            times_plus(1.4, 100.0),
            times_plus(1.1, 70.0),
        ),
        below(
            "entity.call.callers1.p99_us",
            Some("entity.call.callers1.p50_us"),
            times(4.0),
            times(2.0),
        ),
        above(
            "entity.call.callers256.per_s",
            "floor.rocksdb.keys1000.puts_per_s",
            0.45,
            0.8,
        ),
        above(
            "entity.call.executors2.callers256.per_s",
            "entity.call.executors1.callers256.per_s",
            0.9,
            1.0,
        ),
        above("entity.signal.hot.per_s", "floor.channel.callers256.per_s", 0.10, 0.25),
        above(
            "entity.signal.spread.per_s",
            "floor.rocksdb.keys100k.puts_per_s",
            0.40,
            0.8,
        ),
        below("hub.open.clean1m.ms", None, at(1_000.0), at(200.0)),
        below("hub.open.killed1m.ms", None, at(5_000.0), at(2_000.0)),
        below(
            "hub.rss.entities1m.mib",
            None,
            at(memory_budget_mib + 64.0),
            at(memory_budget_mib + 32.0),
        ),
        below("store.wal_bytes_per_signal", None, at(220.0), at(110.0)),
        below(
            "orchestration.chain5.callers1.p50_us",
            Some("floor.fdatasync.p50_us"),
            times_plus(6.0, 600.0),
            times_plus(6.0, 300.0),
        ),
        above(
            "orchestration.chain5.callers256.per_s",
            "entity.call.callers256.per_s",
            1.0 / 25.0,
            1.0 / 12.0,
        ),
        above(
            "orchestration.transfer.per_s",
            "entity.call.callers256.per_s",
            1.0 / 25.0,
            1.0 / 10.0,
        ),
        below("orchestration.history2000.step_ratio", None, at(1.3), at(1.1)),
        below("orchestration.waiting.chain20.p99_us", None, at(20_000.0), at(5_000.0)),
        below(
            "orchestration.sleeping100k.rss_mib",
            None,
            at(memory_budget_mib + 100_000.0 * 512.0 / MIB),
            at(memory_budget_mib + 100_000.0 * 100.0 / MIB),
        ),
        below("orchestration.sleeping100k.restart_ms", None, at(2_000.0), at(500.0)),
        above(
            "http.entity.call.connections256.per_s",
            "http.health.connections256.per_s",
            0.4,
            0.7,
        ),
        Limit {
            figure: "http.entity.call.connections256.per_s",
            base: None,
            below: false,
            must: at(12_000.0),
            aim: at(25_000.0),
        },
        below(
            "http.entity.call.connections256.p99_us",
            None,
            at(60_000.0),
            at(60_000.0),
        ),
        above(
            "http.watched.entity.call.connections256.per_s",
            "http.unwatched.entity.call.connections256.per_s",
            0.9,
            0.95,
        ),
        below("http.list.first_page.p99_us", None, at(20_000.0), at(20_000.0)),
        below("http.idle.rss_mib", None, at(200.0), at(200.0)),
        below(
            "postgres.entity.call.callers1.p50_us",
            Some("floor.postgres.append.p50_us"),
            times(2.0),
            times(1.3),
        ),
        below(
            "postgres.shards2.hop.callers1.p50_us",
            Some("floor.postgres.append.p50_us"),
            times(4.0),
            times(2.5),
        ),
        above(
            "postgres.entity.call.callers256.per_s",
            "entity.call.callers256.per_s",
            0.4,
            0.6,
        ),
        above(
            "postgres.entity.call.callers1024.per_s",
            "entity.call.callers1024.per_s",
            0.4,
            0.6,
        ),
    ]
}

impl Limit {
    fn value_of(&self, bound: Bound, report: &Report) -> Option<f64> {
        let base = match self.base {
            Some(base) => report.value(base)?,
            None => 0.0,
        };
        Some(bound.factor * base + bound.offset)
    }

    fn met(&self, value: f64, bound: f64) -> &'static str {
        let met = if self.below { value <= bound } else { value >= bound };
        if met { "yes" } else { "NO" }
    }
}

/// The limits of the figures that this run measured, as a table, or `None` if no measured figure has a limit.
pub(crate) fn table(report: &Report, memory_budget_bytes: usize) -> Option<Table> {
    let mut table = plain_table(["figure", "value", "must", "met", "aim", "met", "ratio"]);
    for limit in limits(memory_budget_bytes as f64 / MIB) {
        let (Some(value), Some(must), Some(aim)) = (
            report.value(limit.figure),
            limit.value_of(limit.must, report),
            limit.value_of(limit.aim, report),
        ) else {
            continue;
        };
        let sign = if limit.below { "≤" } else { "≥" };
        let ratio = limit
            .base
            .and_then(|base| report.value(base).map(|base_value| (base, base_value)))
            .map_or(String::new(), |(base, base_value)| {
                format!("{:.3} × {base}", value / base_value)
            });
        table.add_row([
            limit.figure,
            &readable(value),
            &format!("{sign} {}", readable(must)),
            limit.met(value, must),
            &format!("{sign} {}", readable(aim)),
            limit.met(value, aim),
            &ratio,
        ]);
    }
    align_right(&mut table, [1, 2, 4]);
    (table.row_count() > 0).then_some(table)
}
