/** The sequence diagram: who sends what to whom, in the order of the history. */

import type { HistoryEvent, HistoryStep } from '../types';
import type { History } from './history';
import { ending, entityName, eventSubject, eventTitle, isFailure, isTold } from './names';

/** Lanes beyond this number share one. */
const MOST_LANES = 8;

export interface Lane {
  name: string;
  kind: 'client' | 'self' | 'activity' | 'entity' | 'orchestration' | 'others';
  /** The id of the entity or orchestration, for a link. */
  id: string | null;
}

export interface Message {
  event: number;
  turn: number;
  lane: number;
  /** True for a message to this orchestration. */
  inward: boolean;
  failed: boolean;
  text: string;
  /** The other side, which its lane does not name if it is shared. */
  other: string;
}

type Other = [kind: Lane['kind'], id: string | null, name: string];

const CLIENTS: Other = ['client', null, 'clients'];

/** Lanes and messages, built piece by piece as the history arrives. */
export class Diagram {
  lanes: Lane[] = [];
  messages: Message[] = [];
  #byName = new Map<string, number>();
  #next = 0;
  #starter: Other = CLIENTS;

  constructor(self: string) {
    this.lanes.push({ name: 'clients', kind: 'client', id: null }, { name: self, kind: 'self', id: self });
    this.#byName.set('client clients', 0);
  }

  /** Adds the events that are new since the last call. */
  follow(history: History): void {
    for (; this.#next < history.events.length; this.#next += 1) {
      const event = history.events[this.#next] as HistoryEvent;
      if (event.event === 'ExecutionStarted' && event.parent) this.#starter = orchestration(event.parent);
      for (const [kind, id, name] of others(event, this.#starter)) {
        const inward = isTold(event);
        this.messages.push({
          event: this.#next,
          turn: event.turn,
          lane: this.#lane(kind, id, name),
          inward,
          failed: isFailure(event),
          text: text(event),
          other: name,
        });
      }
    }
  }

  #lane(kind: Lane['kind'], id: string | null, name: string): number {
    const key = `${kind} ${name}`;
    let lane = this.#byName.get(key);
    if (lane === undefined) {
      if (this.lanes.length === MOST_LANES - 1) this.lanes.push({ name: 'others', kind: 'others', id: null });
      lane = this.lanes.length < MOST_LANES ? this.lanes.push({ name, kind, id }) - 1 : MOST_LANES - 1;
      this.#byName.set(key, lane);
    }
    return lane;
  }
}


/** The other sides of an event. Timers and waits for events are messages to no one. */
function others(event: HistoryEvent, starter: Other): Other[] {
  if ('step' in event) return ofStep(event.step);
  if ('entity' in event) return [entity(event.entity)];
  if ('instance' in event) return [orchestration(event.instance)];
  if ('payload' in event || 'reason' in event) return [CLIENTS];
  return 'what' in event || event.event === 'ContinuedAsNew' ? [] : [starter];
}

function ofStep(step: HistoryStep | null): Other[] {
  switch (step?.kind) {
    case 'Activity':
      return [['activity', null, step.name]];
    case 'SubOrchestration':
      return [orchestration(step.instance)];
    case 'EntityCall':
      return [entity(step.entity)];
    case 'Lock':
      return step.entities.map(entity);
    default:
      return [];
  }
}

function orchestration(id: string): Other {
  return ['orchestration', id, id];
}

function entity(id: string): Other {
  return ['entity', id, entityName(id)];
}

function text(event: HistoryEvent): string {
  if ('payload' in event) return `event ${event.name}`;
  if ('operation' in event) return `signal ${event.operation}`;
  if (!('step' in event)) return `${eventTitle(event).toLowerCase()} ${eventSubject(event)}`;
  const { step } = event;
  if (event.event === 'StepScheduled' && step?.kind === 'Activity') return attempt(event.attempt);
  const how = ending(event.event, step?.kind);
  switch (step?.kind) {
    case 'EntityCall':
      return how === 'requested' ? step.operation : `${step.operation} ${how}`;
    case 'Lock':
      return `lock ${how}`;
    case 'SubOrchestration':
      return how === 'requested' ? `start ${step.name}` : how;
    default:
      return how;
  }
}

function attempt(number: number): string {
  return number > 1 ? `run, attempt ${number}` : 'run';
}
