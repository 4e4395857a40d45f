import type { Range } from '../../ranges';

/** Lengths of the buckets of the chart, of which the first that is long enough is taken. */
const BUCKETS_MS = [15_000, 60_000, 1_800_000, 7_200_000];
const MOST_BUCKETS = 84;

/** Returns the query for a range that ends after now. It begins at a multiple of its buckets, which keep their contents. */
export function timelineQuery({ ms }: Range, now: number): { from: string; to: string; buckets: number } {
  const size = BUCKETS_MS.find((size) => ms / size <= MOST_BUCKETS) ?? ms;
  const to = (Math.floor(now / size) + 1) * size;
  return { from: new Date(to - ms).toISOString(), to: new Date(to).toISOString(), buckets: ms / size };
}
