/** The lines of the history: on the left what the orchestration was told, on the right what its code asked for. */

import { duration, preview } from '../text';
import type { HistoryEvent } from '../types';
import type { History } from './history';
import { type EventGroup, eventGroup, eventPayload, eventSubject, eventTitle, isFailure, isTold } from './names';

export interface HistoryLine {
  turn: number;
  /** True for the first line of its turn. */
  isFirst: boolean;
  /** Positions of events, or -1. */
  told: number;
  asked: number;
}

export interface Filter {
  group: EventGroup | 'all' | 'failed';
  text: string;
}

export function isEmpty(filter: Filter): boolean {
  return filter.group === 'all' && filter.text.trim() === '';
}

/** Returns the lines of the events that a filter accepts. */
export function historyLines(history: History, filter: Filter, texts: SearchTexts): HistoryLine[] {
  const accepts = isEmpty(filter) ? () => true : matcher(history, filter, texts);
  const lines: HistoryLine[] = [];
  for (const turn of history.turns) {
    const told: number[] = [];
    const asked: number[] = [];
    for (let at = turn.start; at < turn.end; at += 1) {
      if (accepts(at)) (isTold(history.events[at] as HistoryEvent) ? told : asked).push(at);
    }
    const count = Math.max(told.length, asked.length);
    for (let index = 0; index < count; index += 1) {
      lines.push({ turn: turn.number, isFirst: index === 0, told: told[index] ?? -1, asked: asked[index] ?? -1 });
    }
  }
  return lines;
}

function matcher(history: History, filter: Filter, texts: SearchTexts): (at: number) => boolean {
  const words = filter.text.toLowerCase().split(/\s+/).filter((word) => word !== '');
  return (at) => {
    const event = history.events[at] as HistoryEvent;
    if (filter.group === 'failed' ? !isFailure(event) : filter.group !== 'all' && eventGroup(event) !== filter.group) {
      return false;
    }
    if (words.length === 0) return true;
    const text = texts.of(event, at);
    return words.every((word) => text.includes(word));
  };
}

/** The texts that a search looks at, made once per event. */
export class SearchTexts {
  #texts: string[] = [];

  of(event: HistoryEvent, at: number): string {
    let text = this.#texts[at];
    if (text === undefined) {
      const step = 'sequence' in event ? `#${event.sequence}` : '';
      const payload = JSON.stringify(eventPayload(event)) ?? '';
      const failure = 'failure' in event && event.failure ? `${event.failure.error_type} ${event.failure.message}` : '';
      const parts = [eventTitle(event), eventSubject(event), event.label, step, failure, payload.slice(0, 10_000)];
      text = parts.filter(Boolean).join(' ').toLowerCase();
      this.#texts[at] = text;
    }
    return text;
  }
}

/** The texts of lines. Payloads may be large, so that each is made once. */
const known = new WeakMap<HistoryEvent, string>();

/** The start of what an event carries, for its line. */
export function lineText(event: HistoryEvent): string {
  const text = known.get(event) ?? makeText(event);
  known.set(event, text);
  return text;
}

function makeText(event: HistoryEvent): string {
  if (event.event === 'StepFailed') return event.failure?.message ?? event.error?.message ?? '';
  if (event.event === 'StepRefused') return event.error.message;
  if (event.event === 'StepScheduled' && event.step.kind === 'Timer') {
    return duration(Date.parse(event.step.due) - Date.parse(event.time));
  }
  return preview(eventPayload(event), 80);
}
