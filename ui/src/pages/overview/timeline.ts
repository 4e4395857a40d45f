const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** The ranges of the timeline. */
export const RANGES = [
  { id: '15m', label: '15 min', ms: 15 * MINUTE, buckets: 60, everyMs: 5_000 },
  { id: '1h', label: '1 h', ms: HOUR, buckets: 60, everyMs: 10_000 },
  { id: '24h', label: '24 h', ms: 24 * HOUR, buckets: 96, everyMs: 30_000 },
  { id: '7d', label: '7 d', ms: 168 * HOUR, buckets: 84, everyMs: 60_000 },
] as const;

export type Range = (typeof RANGES)[number];

/** Returns a range that ends after now. It begins at a multiple of its buckets, so that they keep their contents. */
export function rangeAt(range: Range, now: number): { from: string; to: string; buckets: number } {
  const size = range.ms / range.buckets;
  const to = (Math.floor(now / size) + 1) * size;
  return { from: new Date(to - range.ms).toISOString(), to: new Date(to).toISOString(), buckets: range.buckets };
}
