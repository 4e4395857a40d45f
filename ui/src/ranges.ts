/** Ranges of time up to now. */
export const RANGES = [
  { id: '15m', ms: 900_000 },
  { id: '1h', ms: 3_600_000 },
  { id: '24h', ms: 86_400_000 },
  { id: '7d', ms: 604_800_000 },
] as const;

export type Range = (typeof RANGES)[number];

/** Returns the range with an id. */
export function rangeOf(id: string | null): Range | undefined {
  return RANGES.find((range) => range.id === id);
}

/** Returns the begin of a range that ends at `now`. Whole minutes, so that links keep their address for a while. */
export function beginOf(range: Range, now: number): string {
  return new Date(Math.floor((now - range.ms) / 60_000) * 60_000).toISOString();
}
