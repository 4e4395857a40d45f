/** Latencies in milliseconds. */
export interface Latency {
  p50: number;
  p99: number;
}

/** Reads the duration of a sync from metrics in the text format of Prometheus. `null` if no recorder is installed. */
export function syncLatency(text: string): Latency | null {
  const quantiles = new Map<number, number>();
  const buckets: [number, number][] = [];
  for (const line of text.split('\n')) {
    const match = /^abide_sync_seconds(_bucket)?\{[^}]*\b(quantile|le)="([^"]+)"[^}]*\}\s+(\S+)/.exec(line);
    if (!match) continue;
    const at = match[3] === '+Inf' ? Infinity : Number(match[3]);
    if (match[1]) buckets.push([at, Number(match[4])]);
    else quantiles.set(at, Number(match[4]));
  }
  const p50 = quantiles.get(0.5) ?? ofBuckets(buckets, 0.5);
  const p99 = quantiles.get(0.99) ?? ofBuckets(buckets, 0.99);
  return p50 === undefined || p99 === undefined ? null : { p50: p50 * 1_000, p99: p99 * 1_000 };
}

/** Returns the upper bound of the bucket that contains a quantile. */
function ofBuckets(buckets: [number, number][], quantile: number): number | undefined {
  const sorted = buckets.toSorted((a, b) => a[0] - b[0]);
  const total = sorted.at(-1)?.[1];
  if (!total) return undefined;
  return sorted.find(([bound, count]) => count >= total * quantile && Number.isFinite(bound))?.[0];
}
