/** How entities, steps and events are called on the page. */

import { entityOf } from '../route';
import { words } from '../text';
import type { HistoryEvent, HistoryStep } from '../types';

/** The id of an entity as people write it: `stock/lamp`. */
export function entityName(id: string): string {
  const entity = entityOf(id);
  if (!entity) return id;
  return entity.key === '' ? entity.name : `${entity.name}/${entity.key}`;
}

/** What a step is about, without its kind. */
export function stepName(step: HistoryStep | null | undefined): string {
  switch (step?.kind) {
    case 'Activity':
    case 'Event':
    case 'SubOrchestration':
      return step.name;
    case 'EntityCall':
      return `${entityName(step.entity)}.${step.operation}`;
    case 'Lock':
      return step.entities.map(entityName).join(', ');
    case 'Timer':
      return 'timer';
    default:
      return 'step';
  }
}

/** What a step is about, with its kind where the name alone does not tell. */
export function stepTitle(step: HistoryStep | null): string {
  switch (step?.kind) {
    case 'Event':
      return `event ${step.name}`;
    case 'Lock':
      return `lock ${stepName(step)}`;
    case 'SubOrchestration':
      return `${step.name} ${step.instance}`;
    default:
      return stepName(step);
  }
}

const KINDS = {
  Activity: 'activity',
  Timer: 'timer',
  Event: 'wait for event',
  SubOrchestration: 'sub-orchestration',
  EntityCall: 'entity call',
  Lock: 'lock',
};

export function kindName(step: HistoryStep | null | undefined): string {
  return step ? KINDS[step.kind] : 'step';
}

const ENDINGS: Record<string, string> = {
  StepScheduled: 'requested',
  StepCompletedTimer: 'fired',
  StepCompletedLock: 'granted',
};

/** The step that an event begins or ends. */
export function stepOf(event: HistoryEvent): HistoryStep | null {
  return 'step' in event ? event.step : null;
}

/** What happened, in two or three words. */
export function eventTitle(event: HistoryEvent): string {
  if (!('step' in event)) return event.event === 'ExecutionTerminated' && event.byParent ? 'Canceled' : words(event.event);
  const kind = kindName(event.step);
  return `${kind.charAt(0).toUpperCase()}${kind.slice(1)} ${ending(event.event, event.step?.kind)}`;
}

/** How a step went on: `completed`, or `fired` for a timer. */
export function ending(event: string, kind = ''): string {
  return ENDINGS[event + kind] ?? ENDINGS[event] ?? event.slice(4).toLowerCase();
}

/** What it happened to. */
export function eventSubject(event: HistoryEvent): string {
  if ('step' in event) return event.step?.kind === 'Timer' ? '' : stepName(event.step);
  if ('operation' in event) return `${entityName(event.entity)}.${event.operation}`;
  if ('entity' in event) return entityName(event.entity);
  if ('instance' in event) return `${event.name} → ${event.instance}`;
  if ('name' in event) return event.name;
  if ('what' in event) return event.what;
  if ('reason' in event) return event.reason;
  return 'failure' in event ? event.failure.message : '';
}

export type EventGroup = HistoryStep['kind'] | 'Execution';

/** The kind of step that an event is about, or the execution. */
export function eventGroup(event: HistoryEvent): EventGroup {
  if ('step' in event) return event.step?.kind ?? 'Execution';
  if (event.event === 'LockLost') return 'Lock';
  if ('entity' in event) return 'EntityCall';
  if ('payload' in event) return 'Event';
  return 'instance' in event ? 'SubOrchestration' : 'Execution';
}

/** True for what the orchestration was told, false for what its code asked for. */
export function isTold(event: HistoryEvent): boolean {
  return TOLD.has(event.event);
}

const TOLD = new Set([
  'ExecutionStarted',
  'StepCompleted',
  'StepFailed',
  'EventRaised',
  'LockLost',
  'ExecutionSuspended',
  'ExecutionResumed',
  'ExecutionTerminated',
]);

export function isFailure(event: HistoryEvent): boolean {
  return event.event === 'StepFailed' || event.event === 'StepRefused' || event.event === 'ExecutionFailed';
}

/** The payload that an event carries, or `undefined` if its kind has none. */
export function eventPayload(event: HistoryEvent): unknown {
  if ('input' in event) return event.input;
  if ('payload' in event) return event.payload;
  if ('result' in event) return event.result;
  if ('output' in event) return event.output;
  return undefined;
}
