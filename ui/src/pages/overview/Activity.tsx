import { useRef } from 'preact/hooks';
import { get, getText } from '../../api';
import { ErrorBox, Panel } from '../../components';
import { bytes, count, duration } from '../../format';
import { syncLatency } from '../../metrics';
import { useResource } from '../../resource';
import type { Stats } from '../../types';

const STATS_EVERY_MS = 2_000;
const METRICS_EVERY_MS = 10_000;
/** Samples of the sparkline: two minutes. */
const SAMPLES = 60;

interface Sample {
  at: number;
  stats: Stats;
}

/** What the hub does now: rates, lag and latency. */
export function Activity() {
  const samples = useRef<Sample[]>([]);
  const stats = useResource((signal) => get<Stats>('/stats', {}, signal), [], STATS_EVERY_MS);
  const latency = useResource((signal) => getText('/metrics', signal).then(syncLatency), [], METRICS_EVERY_MS);
  const { data } = stats;
  if (data && samples.current.at(-1)?.stats !== data) {
    samples.current = [...samples.current, { at: performance.now(), stats: data }].slice(-SAMPLES - 1);
  }
  const commits = rates(samples.current, 'commits');
  return (
    <Panel title="Activity now">
      <ErrorBox error={stats.error} retry={stats.reload} />
      {data && (
        <div class="panel-body">
          <Spark values={commits} />
          <dl class="facts">
            <Fact name="Commits" value={rate(commits)} />
            <Fact name="Turns" value={rate(rates(samples.current, 'turns'))} />
            <Fact name="Operations" value={rate(rates(samples.current, 'operations'))} />
            <Fact name="Not durable yet" value={commitsOf(data.written - data.durable)} />
            <Fact name="Not in RocksDB yet" value={`${commitsOf(data.frontLag)}, ${bytes(data.frontBytes)}`} />
            <Fact name="Queued messages" value={count(data.queued)} />
            {latency.data && latency.data.p99 > 0 && (
              <Fact
                name="Sync of the log"
                value={`${duration(latency.data.p50)} median, ${duration(latency.data.p99)} at the 99th percentile`}
              />
            )}
          </dl>
        </div>
      )}
    </Panel>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

function Spark({ values }: { values: readonly number[] }) {
  const highest = Math.max(1, ...values);
  const point = (value: number, at: number) =>
    `${at === 0 ? 'M' : 'L'}${SAMPLES - values.length + at} ${38 - (value / highest) * 36}`;
  return (
    <svg class="spark" viewBox={`0 0 ${SAMPLES - 1} 40`} preserveAspectRatio="none" role="img" aria-label="Commits per second in the last two minutes">
      <path d={values.map(point).join('')} />
    </svg>
  );
}

/** Returns the increase per second between each sample and the one before it. */
function rates(samples: readonly Sample[], field: keyof Stats): number[] {
  return samples.slice(1).map((sample, at) => {
    const before = samples[at]!;
    const increase = sample.stats[field] - before.stats[field];
    // Less than before means that the hub was opened again.
    return Math.max(0, increase) / Math.max(0.001, (sample.at - before.at) / 1_000);
  });
}

function rate(values: readonly number[]): string {
  const last = values.at(-1);
  return last === undefined ? '–' : `${count(last)} per second`;
}

function commitsOf(n: number): string {
  return `${count(n)} commit${n === 1 ? '' : 's'}`;
}
