// Pure functions from values to text.
import type { TimeZone } from './settings';
import type { Time } from './types';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Within a day of the latest time of JavaScript. */
const LATEST = 8.64e15 - DAY;

type Instant = string | number | null | undefined;

/** Returns milliseconds since 1970, or `NaN` for what is not a time. */
export function instant(t: Instant): number {
  return typeof t === 'number' ? t : Date.parse(t ?? '');
}

/** Returns a time such as `2026-11-20 13:40:21`. */
export function time(t: Instant, zone: TimeZone): string {
  return shifted(t, zone).slice(0, 19);
}

/** Returns a time such as `2026-11-20 13:40:21.512 UTC`. */
export function fullTime(t: Instant, zone: TimeZone): string {
  return `${shifted(t, zone).slice(0, 23)} ${zone === 'utc' ? 'UTC' : 'local time'}`;
}

/** Returns the hour and minute, for the axis of a chart. */
export function clock(t: Instant, zone: TimeZone): string {
  return time(t, zone).slice(11, 16);
}

/** Returns the month and day, for the axis of a chart. */
export function day(t: Instant, zone: TimeZone): string {
  return time(t, zone).slice(5, 10);
}

/** Returns the distance of a time from now, in its largest unit. */
export function age(t: Instant, now: number): string {
  const ms = now - instant(t);
  if (Number.isNaN(ms)) return '–';
  const distance = Math.abs(ms);
  if (distance < 1.5 * SECOND) return 'now';
  const unit = coarse(distance);
  return ms > 0 ? `${unit} ago` : `in ${unit}`;
}

function coarse(ms: number): string {
  if (ms < 100 * SECOND) return `${Math.round(ms / SECOND)} s`;
  if (ms < 100 * MINUTE) return `${Math.round(ms / MINUTE)} min`;
  if (ms < 48 * HOUR) return `${Math.round(ms / HOUR)} h`;
  return `${Math.round(ms / DAY)} d`;
}

/** Returns a duration such as `340 ms`, `2.5 s`, `4 min 30 s` or `2 d 3 h`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms < 1) return ms === 0 ? '0 ms' : `${Math.max(1, Math.round(ms * 1_000))} µs`;
  if (ms < 10) return `${short(ms)} ms`;
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${short(ms / SECOND)} s`;
  if (ms < HOUR) return twoUnits(ms, MINUTE, 'min', SECOND, 's');
  return ms < DAY ? twoUnits(ms, HOUR, 'h', MINUTE, 'min') : twoUnits(ms, DAY, 'd', HOUR, 'h');
}

function twoUnits(ms: number, unit: number, name: string, part: number, partName: string): string {
  const rest = Math.floor((ms % unit) / part);
  return `${Math.floor(ms / unit)} ${name}${rest === 0 ? '' : ` ${rest} ${partName}`}`;
}

/** Returns a number with separators, such as `12,400`. */
export function count(n: number): string {
  return Number.isFinite(n) ? n.toLocaleString('en-US', { maximumFractionDigits: n < 10 ? 2 : 0 }) : '–';
}

/** Returns a number of things, such as `1 turn` or `12,400 turns`. */
export function counted(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}

/** Returns a size such as `1.5 MiB`. */
export function bytes(n: number): string {
  if (n < 1_024) return `${n} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = n / 1_024;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${short(value)} ${units[unit]}`;
}

/** Returns JSON over several lines. */
export function json(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? '';
}

/** Returns JSON in one line of bounded length. */
export function preview(value: unknown, length = 120): string {
  if (value === null || value === undefined) return '';
  const whole = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  const line = whole.length > length ? `${whole.slice(0, length)}…` : whole;
  return line.replace(/\s+/g, ' ');
}

/** Returns the words of a name in camel case, such as `Continued as new`. */
export function words(name: string): string {
  const split = name.replace(/([a-z])([A-Z])/g, (_, end: string, start: string) => `${end} ${start.toLowerCase()}`);
  return split.charAt(0).toUpperCase() + split.slice(1);
}

/** Returns the time of a clock in the zone, in the format of ISO 8601 with a space. */
function shifted(t: Instant, zone: TimeZone): string {
  const at = instant(t);
  const offset = zone === 'utc' ? 0 : new Date(at).getTimezoneOffset() * MINUTE;
  // `toISOString` throws for what is not a time, and for times that no calendar of JavaScript reaches.
  return Math.abs(at) < LATEST ? new Date(at - offset).toISOString().replace('T', ' ') : '–';
}

function short(n: number): string {
  return n < 10 ? String(Math.round(n * 10) / 10) : String(Math.round(n));
}

/** Returns a time as the value of an input of type `datetime-local`. */
export function toInput(t: Instant, zone: TimeZone): string {
  const text = time(t, zone);
  return text === '–' ? '' : text.replace(' ', 'T');
}

/** Reads the value of an input of type `datetime-local`. */
export function fromInput(value: string, zone: TimeZone): Time | null {
  const at = new Date(zone === 'utc' && value !== '' ? `${value}Z` : value);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}
