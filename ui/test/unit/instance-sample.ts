import type { HistoryEvent, HistoryStep } from '../../src/types';

/** Writes histories as the hub does: one second per turn. */
export class Sample {
  events: HistoryEvent[] = [];
  private number = -1;

  turn(): this {
    this.number += 1;
    return this;
  }

  add(event: Record<string, unknown>): this {
    const time = new Date(this.number * 1_000).toISOString();
    this.events.push({ time, turn: this.number, ...event } as unknown as HistoryEvent);
    return this;
  }

  started(): this {
    return this.add({ event: 'ExecutionStarted', name: 'ship', version: '', input: 5, parent: null, tags: [] });
  }

  scheduled(sequence: number, step: HistoryStep, attempt = 1): this {
    return this.add({ event: 'StepScheduled', sequence, step, input: null, attempt });
  }

  completed(sequence: number, step: HistoryStep | null): this {
    return this.add({ event: 'StepCompleted', sequence, step, scheduled: null, result: 1 });
  }

  failed(sequence: number, step: HistoryStep): this {
    const failure = { error_type: 'Declined', message: 'no funds', details: null, causes: [], stack: null, non_retriable: false };
    return this.add({ event: 'StepFailed', sequence, step, scheduled: null, failure, error: null });
  }

  canceled(sequence: number, step: HistoryStep | null): this {
    return this.add({ event: 'StepCanceled', sequence, step });
  }

  released(sequence: number, step: HistoryStep): this {
    return this.add({ event: 'LockReleased', sequence, step });
  }

  raised(name: string): this {
    return this.add({ event: 'EventRaised', name, payload: true });
  }
}

export const pay: HistoryStep = { kind: 'Activity', name: 'pay' };
export const timer: HistoryStep = { kind: 'Timer', due: '2026-01-01T00:00:00Z' };
export const approved: HistoryStep = { kind: 'Event', name: 'Approved' };
export const lock: HistoryStep = { kind: 'Lock', entities: ['@account@alice', '@account@bob'] };
export const take: HistoryStep = { kind: 'EntityCall', entity: '@stock@lamp', operation: 'take' };
