// Texts for people. Everything that depends on the chosen time zone or on the clock takes it as an argument in
// `text.ts`, and these functions read the signals, so that a component that calls them is rendered again.
import { now } from './clock';
import { timeZone } from './settings';
import * as text from './text';

export { count, counted, bytes, duration, json, preview, words } from './text';

/** Returns a time in the chosen time zone, such as `2026-11-20 13:40:21`. */
export function time(t: string | number | null | undefined): string {
  return text.time(t, timeZone.value);
}

/** Returns a time with its fraction of a second and the name of the zone. */
export function fullTime(t: string | number | null | undefined): string {
  return text.fullTime(t, timeZone.value);
}

/** Returns the time between `t` and now, such as `5 min ago` or `in 3 h`. */
export function age(t: string | number | null | undefined): string {
  return text.age(t, now.value);
}
