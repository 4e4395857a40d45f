/** A history in memory: its events, its turns and its steps. Events are added piece by piece. */

import { entityOf } from '../route';
import type { HistoryEvent, HistoryStep } from '../types';
import { isTold, stepName } from './names';

/** Groups beyond this number are one group per kind, because names may contain ids. */
const MOST_GROUPS = 200;

export type SpanState = 'open' | 'completed' | 'failed' | 'canceled' | 'held';

/** One stretch of a step: an attempt, or the wait for a lock, or the time in which the lock is held. */
export interface Span {
  from: number;
  /** The time of its end. `Infinity` while it has not ended. */
  to: number;
  fromTurn: number;
  toTurn: number;
  state: SpanState;
  /** The positions of the events that began and ended it. -1 if there is none. */
  start: number;
  end: number;
}

/** One step with its attempts. */
export interface Row {
  sequence: number;
  step: HistoryStep | null;
  label: string | null;
  spans: Span[];
  /** The step whose next attempt this timer delays. */
  delays: Row | null;
  /** The number of its group. */
  group: number;
}

/** All steps of one kind and name. */
export interface Group {
  kind: string;
  name: string;
  failed: number;
}

/** The events of one turn are `events[start..end]`. Those from `asked` on are requests of the code. */
export interface Turn {
  number: number;
  time: number;
  start: number;
  asked: number;
  end: number;
}

/** Something that happened at one moment: an event or a message. */
export interface Mark {
  time: number;
  turn: number;
  event: number;
}

type StepEvent = Extract<HistoryEvent, { step: unknown }>;

export class History {
  events: HistoryEvent[] = [];
  turns: Turn[] = [];
  rows: Row[] = [];
  groups: Group[] = [];
  received: Mark[] = [];
  sent: Mark[] = [];
  #bySequence = new Map<number, Row>();
  #byGroup = new Map<string, number>();
  /** The waits for events that are open, and the events that no wait has received, by name. */
  #waits = new Queues<Row>();
  #unread = new Queues<number>();
  /** The steps that failed in this turn, and the timers that were set in the turns of failures. */
  #failed: Row[] = [];
  #delays = new Map<Row, Row>();
  /** The position of the event that is being added, and its turn. */
  #at = 0;
  #turn: Turn = { number: -1, time: 0, start: 0, asked: 0, end: 0 };

  add(events: HistoryEvent[]): void {
    for (const event of events) {
      this.#at = this.events.push(event) - 1;
      this.#count(event);
      this.#follow(event);
    }
  }

  row(sequence: number): Row | undefined {
    return this.#bySequence.get(sequence);
  }

  /** The steps that were open after a turn. */
  openAfter(turn: number): Row[] {
    return this.rows.filter((row) => {
      const span = spanAt(row, turn);
      return span && span.state !== 'held' && span.toTurn > turn;
    });
  }

  #count(event: HistoryEvent): void {
    const at = this.#at;
    if (this.#turn.number !== event.turn) {
      this.#turn = { number: event.turn, time: Date.parse(event.time), start: at, asked: at, end: at };
      this.turns.push(this.#turn);
      this.#failed = [];
    }
    this.#turn.end = at + 1;
    if (isTold(event)) this.#turn.asked = at + 1;
  }

  #follow(event: HistoryEvent): void {
    switch (event.event) {
      case 'StepScheduled':
        this.#begin(event.step, this.#bySequence.get(event.sequence) ?? this.#newRow(event));
        break;
      case 'StepCompleted':
        this.#complete(this.#known(event));
        break;
      case 'StepFailed': {
        const row = this.#known(event);
        this.#failed.push(row);
        this.groups[row.group]!.failed += 1;
        this.#end(row, 'failed');
        break;
      }
      case 'StepCanceled':
      case 'LockReleased':
        this.#end(this.#known(event), 'canceled');
        break;
      case 'EventRaised':
        this.received.push(this.#mark());
        this.#raise(event.name.toLowerCase());
        break;
      case 'EventSent':
      case 'EntitySignaled':
      case 'OrchestrationStarted':
        this.sent.push(this.#mark());
        break;
      case 'ContinuedAsNew':
      case 'ExecutionCompleted':
      case 'ExecutionFailed':
      case 'ExecutionTerminated':
        for (const row of this.rows) this.#end(row, 'canceled');
    }
  }

  #begin(step: HistoryStep, row: Row): void {
    const isAgain = row.spans.length > 0;
    this.#open(row, 'open');
    if (step.kind === 'Event') {
      const name = step.name.toLowerCase();
      const raised = this.#unread.take(name);
      if (raised === undefined) this.#waits.add(name, row);
      else this.#end(row, 'completed', raised);
    } else if (step.kind === 'Timer') {
      const failed = this.#failed.shift();
      if (failed) this.#delays.set(failed, row);
    } else if (isAgain) {
      const delay = this.#delays.get(row);
      if (delay) delay.delays = row;
    }
  }

  #complete(row: Row): void {
    this.#end(row, 'completed');
    if (row.step?.kind === 'Lock') this.#open(row, 'held');
  }

  #raise(name: string): void {
    for (let row = this.#waits.take(name); row; row = this.#waits.take(name)) {
      // A wait that was canceled is still in the queue.
      if (!hasEnded(row)) return this.#end(row, 'completed');
    }
    this.#unread.add(name, this.#at);
  }

  #open(row: Row, state: SpanState, from = this.#turn.time): void {
    const { number } = this.#turn;
    row.spans.push({ from, to: Infinity, fromTurn: number, toTurn: Infinity, state, start: this.#at, end: -1 });
  }

  #end(row: Row, state: SpanState, at = this.#at): void {
    if (hasEnded(row)) return;
    const span = last(row);
    span.to = this.#turn.time;
    span.toTurn = this.#turn.number;
    span.end = at;
    // The release of a lock is the regular end of holding it.
    if (span.state === 'open') span.state = state;
  }

  #mark(): Mark {
    return { time: this.#turn.time, turn: this.#turn.number, event: this.#at };
  }

  /** The row of a step that ends. It is made here if the step began before this history. */
  #known(event: StepEvent): Row {
    let row = this.#bySequence.get(event.sequence);
    if (!row) {
      row = this.#newRow(event);
      this.#open(row, 'open', 'scheduled' in event && event.scheduled ? Date.parse(event.scheduled) : undefined);
    }
    return row;
  }

  #newRow({ sequence, step, label }: StepEvent): Row {
    const row: Row = { sequence, step, label: label ?? null, spans: [], delays: null, group: this.#groupOf(step) };
    this.#bySequence.set(sequence, row);
    this.rows.push(row);
    return row;
  }

  #groupOf(step: HistoryStep | null): number {
    const kind = step?.kind ?? 'Step';
    let name = groupName(step);
    if (this.groups.length >= MOST_GROUPS && !this.#byGroup.has(`${kind} ${name}`)) name = 'others';
    let group = this.#byGroup.get(`${kind} ${name}`);
    if (group === undefined) {
      group = this.groups.push({ kind, name, failed: 0 }) - 1;
      this.#byGroup.set(`${kind} ${name}`, group);
    }
    return group;
  }
}

/** Steps that differ only in the key of an entity are in one group. */
function groupName(step: HistoryStep | null): string {
  switch (step?.kind) {
    case 'EntityCall':
      return `${entityType(step.entity)}.${step.operation}`;
    case 'Lock':
      return [...new Set(step.entities.map(entityType))].join(', ');
    default:
      return stepName(step);
  }
}

function entityType(id: string): string {
  return entityOf(id)?.name ?? id;
}

export function last(row: Row): Span {
  return row.spans[row.spans.length - 1]!;
}

function hasEnded(row: Row): boolean {
  return last(row).to !== Infinity;
}

/** The last stretch of a step that had begun by the end of a turn. */
export function spanAt(row: Row, turn: number): Span | undefined {
  return row.spans.findLast((span) => span.fromTurn <= turn);
}

/** Queues by name, which do not move their items when one is taken. */
class Queues<T> {
  #queues = new Map<string, { items: T[]; taken: number }>();

  add(name: string, item: T): void {
    const queue = this.#queues.get(name);
    if (queue) queue.items.push(item);
    else this.#queues.set(name, { items: [item], taken: 0 });
  }

  take(name: string): T | undefined {
    const queue = this.#queues.get(name);
    return queue && queue.taken < queue.items.length ? queue.items[queue.taken++] : undefined;
  }
}
