/** Reads a history piece by piece, so that the first turns show before the last ones have arrived. */

import type { HistoryEvent } from '../types';

/** Events that one request should bring. */
const EVENTS_AT_ONCE = 4_000;
const FIRST_TURNS = 200;
const MOST_TURNS = 5_000;

type Fetch = (fromTurn: number, turns: number) => Promise<HistoryEvent[]>;

/** Reads from a turn to the end, and gives every piece to `take`, which returns false to stop. */
export async function readChunks(from: number, fetch: Fetch, take: (events: HistoryEvent[]) => boolean): Promise<void> {
  let next = from;
  let turns = FIRST_TURNS;
  for (;;) {
    const events = await fetch(next, turns);
    const last = events[events.length - 1];
    if (!last || !take(events)) return;
    next += turns;
    if (last.turn < next - 1) return;
    turns = nextTurns(turns, events.length);
  }
}

/** The number of turns that holds about as many events as one request should bring. */
export function nextTurns(turns: number, events: number): number {
  return Math.max(1, Math.min(MOST_TURNS, Math.round((turns * EVENTS_AT_ONCE) / events)));
}
