import { useRef } from 'preact/hooks';
import { getText } from '../../api';
import { ErrorBox, Panel } from '../../components';
import { bytes, count, counted, duration } from '../../format';
import { syncLatency } from '../../metrics';
import { type Resource, useResource } from '../../resource';
import type { Stats } from '../../types';

const METRICS_EVERY_MS = 10_000;
/** Rates in the sparkline: two minutes. */
const MOST_RATES = 24;

/** What the hub does now: rate, lag and latency. */
export function Activity({ stats: { data, error, reload } }: { stats: Resource<Stats> }) {
  const latency = useResource((signal) => getText('/metrics', signal).then(syncLatency), [], METRICS_EVERY_MS).data;
  const seen = useRef({ at: 0, stats: data, rates: [] as number[] });
  const { at, stats, rates } = seen.current;
  if (data && data !== stats) {
    const now = performance.now();
    // Fewer commits than before mean that the hub was opened again.
    const rate = stats && (Math.max(0, data.commits - stats.commits) / (now - at)) * 1_000;
    seen.current = { at: now, stats: data, rates: rate === undefined ? rates : [...rates, rate].slice(-MOST_RATES) };
  }
  const commits = seen.current.rates;
  return (
    <Panel title="Activity now">
      <ErrorBox error={error} retry={reload} />
      {data && (
        <div class="panel-body">
          <Spark values={commits} />
          <dl class="facts">
            <Fact name="Commits" value={commits.length === 0 ? '–' : `${count(commits.at(-1)!)} per second`} />
            <Fact name="Not durable yet" value={counted(data.written - data.durable, 'commit')} />
            <Fact name="Not in RocksDB yet" value={`${counted(data.frontLag, 'commit')}, ${bytes(data.frontBytes)}`} />
            <Fact name="Queued messages" value={count(data.queued)} />
            {latency && latency.p99 > 0 && (
              <Fact
                name="Sync of the log"
                value={`${duration(latency.p50)} median, ${duration(latency.p99)} at the 99th percentile`}
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
    `${at === 0 ? 'M' : 'L'}${MOST_RATES - values.length + at} ${38 - (value / highest) * 36}`;
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${MOST_RATES - 1} 40`}
      preserveAspectRatio="none"
      role="img"
      aria-label="Commits per second in the last two minutes"
    >
      <path d={values.map(point).join('')} />
    </svg>
  );
}
