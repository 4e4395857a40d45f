/** The arithmetic of the timeline: windows of the axis, ticks, and what to draw when there is too much to draw. */

import { roundStep } from '../scale';
import { type Group, type History, type Mark, type Row, type Span, last } from './history';

/** The part of the axis that is shown. */
export interface Window {
  from: number;
  to: number;
}

/** The axis: the clock, or the number of the turn, which gives long waits no more room than short ones. */
export interface Axis {
  by: 'time' | 'turn';
  bounds: Window;
}

export function start(axis: Axis, span: Span): number {
  return axis.by === 'time' ? span.from : span.fromTurn;
}

export function end(axis: Axis, span: Span): number {
  const to = axis.by === 'time' ? span.to : span.toTurn;
  return to === Infinity ? axis.bounds.to : to;
}

export function axisOf(by: Axis['by'], history: History, now: number): Axis {
  const { turns } = history;
  const final = turns[turns.length - 1];
  if (by === 'turn') return { by, bounds: { from: 0, to: (final?.number ?? 0) + 1 } };
  const from = turns[0]?.time ?? 0;
  return { by, bounds: { from, to: Math.max(final?.time ?? 0, now, from + 1) } };
}

/** Makes the window smaller (`factor` below 1) or larger around a point of it, given as a share of its width. */
export function zoom(window: Window, bounds: Window, factor: number, share: number): Window {
  const width = window.to - window.from;
  const smallest = Math.min(1, bounds.to - bounds.from);
  const wanted = Math.min(Math.max(width * factor, smallest), bounds.to - bounds.from);
  const from = window.from + (width - wanted) * share;
  return clamp({ from, to: from + wanted }, bounds);
}

export function pan(window: Window, bounds: Window, share: number): Window {
  const by = (window.to - window.from) * share;
  return clamp({ from: window.from + by, to: window.to + by }, bounds);
}

/** Moves a window into the bounds and keeps its width, as far as it fits. */
export function clamp(window: Window, bounds: Window): Window {
  const width = Math.min(window.to - window.from, bounds.to - bounds.from);
  const from = Math.min(Math.max(window.from, bounds.from), bounds.to - width);
  return { from, to: from + width };
}

/** Steps that overlap the window, in the order in which they began. */
export function visible(rows: Row[], axis: Axis, window: Window): Row[] {
  return rows.filter((row) => start(axis, row.spans[0]!) <= window.to && end(axis, last(row)) >= window.from);
}

/** How many steps of a group were open in each column of the window, and in which columns one failed. */
export interface Density {
  open: Uint32Array;
  failed: Uint32Array;
  most: number;
  count: number;
}

/** Counts in one pass over the spans, however many columns and groups there are. */
export function densities(history: History, axis: Axis, window: Window, columns: number): Density[] {
  const result = history.groups.map(() => ({
    open: new Uint32Array(columns),
    failed: new Uint32Array(columns),
    most: 0,
    count: 0,
  }));
  const changes = history.groups.map(() => new Int32Array(columns + 1));
  const scale = columns / (window.to - window.from);
  for (const row of history.rows) {
    const density = result[row.group]!;
    const change = changes[row.group]!;
    let seen = false;
    for (const span of row.spans) {
      const from = start(axis, span);
      const to = end(axis, span);
      if (from > window.to || to < window.from) continue;
      seen = true;
      const first = Math.max(0, Math.min(columns - 1, Math.floor((from - window.from) * scale)));
      const final = Math.max(first, Math.min(columns, Math.ceil((to - window.from) * scale)) - 1);
      change[first]! += 1;
      change[final + 1]! -= 1;
      if (span.state === 'failed' && to <= window.to) density.failed[final]! += 1;
    }
    if (seen) density.count += 1;
  }
  result.forEach((density, group) => {
    const change = changes[group]!;
    let open = 0;
    for (let column = 0; column < columns; column += 1) {
      open += change[column]!;
      density.open[column] = open;
      if (open > density.most) density.most = open;
    }
  });
  return result;
}

/** The outline of a density as an SVG path in a box of `columns` by 100. */
export function outline(density: Density, most = density.most): string {
  if (most === 0) return '';
  const { open } = density;
  let path = '';
  let level = 0;
  for (let column = 0; column <= open.length; column += 1) {
    const next = column < open.length ? open[column]! : 0;
    if (next === level) continue;
    if (level === 0) path += `M${column} 100`;
    else path += `H${column}`;
    path += `V${height(next, most)}`;
    if (next === 0) path += 'Z';
    level = next;
  }
  return path;
}

/** One open step among thousands still shows. */
function height(open: number, most: number): number {
  return open === 0 ? 100 : Math.round(88 - (88 * open) / most);
}

/** All groups together. */
export function total(densities: Density[], columns: number): Density {
  const open = new Uint32Array(columns);
  const failed = new Uint32Array(columns);
  let count = 0;
  for (const density of densities) {
    count += density.count;
    for (let column = 0; column < columns; column += 1) {
      open[column]! += density.open[column]!;
      failed[column]! += density.failed[column]!;
    }
  }
  return { open, failed, count, most: open.reduce((most, next) => Math.max(most, next), 0) };
}

/** The columns that hold marks, each with the first event in it. */
export function markColumns(
  marks: Mark[],
  axis: Axis,
  window: Window,
  columns: number,
): { column: number; event: number }[] {
  const found: { column: number; event: number }[] = [];
  const scale = columns / (window.to - window.from);
  for (const mark of marks) {
    const at = axis.by === 'time' ? mark.time : mark.turn;
    if (at < window.from || at > window.to) continue;
    const column = Math.min(columns - 1, Math.floor((at - window.from) * scale));
    if (found[found.length - 1]?.column !== column) found.push({ column, event: mark.event });
  }
  return found;
}

const STEPS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 15e3, 30e3, 6e4, 12e4, 3e5, 9e5, 18e5, 36e5, 72e5, 216e5, 432e5,
  864e5, 1728e5, 6048e5,
];

/** The positions of the texts of the axis, at most about `most` of them. None is at its end, where it has no room. */
export function ticks(axis: Axis, window: Window, most: number): number[] {
  const width = window.to - window.from;
  const rough = width / most;
  const round = axis.by === 'time' ? STEPS_MS.find((step) => step >= rough) : undefined;
  const step = round ?? roundStep(Math.max(rough, 1));
  // Times are measured from the start of the execution.
  const origin = axis.bounds.from;
  const result: number[] = [];
  for (let at = Math.ceil((window.from - origin) / step) * step; at <= window.to - origin - width / 8; at += step) {
    result.push(origin + at);
  }
  return result;
}

/** Groups and steps in one list: a group that is unfolded is followed by its steps. */
export type Line = { group: number } | { row: Row };

export function lines(groups: Group[], shown: Density[], unfolded: ReadonlySet<number>, rows: Row[]): Line[] {
  const members = new Map<number, Row[]>();
  for (const row of rows) {
    if (!unfolded.has(row.group)) continue;
    const list = members.get(row.group);
    if (list) list.push(row);
    else members.set(row.group, [row]);
  }
  const result: Line[] = [];
  groups.forEach((_, group) => {
    if (shown[group]?.count === 0) return;
    result.push({ group });
    for (const row of members.get(group) ?? []) result.push({ row });
  });
  return result;
}
