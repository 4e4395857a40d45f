import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Part, explain, headline, stopReason, unreadHint } from '../../src/instance/reasons';
import type { Waiting, WaitingStep } from '../../src/types';

const since = '2026-11-27T10:00:00Z';
const step = (reason: object) => explain({ sequence: 1, since, ...reason } as WaitingStep);
const plain = (parts: Part[]) => parts.map((part) => (typeof part === 'string' ? part : Object.values(part)[0])).join('');
const report = (more: Partial<Waiting>): Waiting => ({
  id: 'order-1',
  name: 'order',
  status: 'Running',
  lastChange: since,
  steps: [],
  messages: 0,
  ...more,
});

test('an event can be raised', () => {
  const { parts, raise } = step({ waitsFor: 'event', name: 'approved' });
  assert.equal(plain(parts), `Waits for the event approved (for ${since}). It has not received it yet.`);
  assert.equal(raise, 'approved');
});

test('the headline names the event and the timer beside it', () => {
  const steps = [
    { sequence: 1, since, waitsFor: 'event', name: 'approved' },
    { sequence: 2, since, waitsFor: 'timer', due: since },
  ] as WaitingStep[];
  assert.equal(
    plain(headline(report({ steps }))),
    `It waits until someone raises the event approved, or until a timer fires ${since}.`,
  );
});

test('the place of an activity in line is part of the sentence', () => {
  const progress = { state: 'inLine', ahead: 3, running: 8, limit: 8 };
  const { parts } = step({ waitsFor: 'activity', name: 'pay', attempt: 2, progress, crashes: 1 });
  assert.match(plain(parts), /activity pay, attempt 2 .* 3 ahead of it, all 8 slots are busy\. The process crashed once/);
});

test('an activity that is not registered tells the way out', () => {
  const { hint, bad } = step({ waitsFor: 'activity', name: 'pay', attempt: 1, progress: { state: 'unregistered' }, crashes: 0 });
  assert.equal(plain(hint ?? []), 'Deploy a build that registers it. It then continues by itself.');
  assert.equal(bad, true);
});

test('a lock leads to the orchestration that holds it', () => {
  const blocked = { by: 'lock', entity: '@account@alice', owner: 'transfer-7', since, cause: 'cycle' };
  const { parts, next } = step({ waitsFor: 'lock', entities: ['@account@bob', '@account@alice'], held: 1, blocked });
  assert.match(plain(parts), /It holds 1 of the 2 locks that it needs\. transfer-7 has held the lock of account\/alice/);
  assert.deepEqual(next, { id: 'transfer-7', cause: 'cycle' });
});

test('a call tells how many messages are before it', () => {
  const call = { waitsFor: 'entityCall', entity: '@stock@lamp', operation: 'take' };
  assert.match(plain(step(call).parts), /on its way or runs now/);
  assert.match(plain(step({ ...call, ahead: 0 }).parts), /next in the queue/);
  assert.match(plain(step({ ...call, ahead: 1 }).parts), /1 message is ahead/);
  assert.match(plain(step({ ...call, ahead: 12 }).parts), /12 messages are ahead/);
});

test('a retry names the step that is attempted again', () => {
  assert.equal(plain(step({ waitsFor: 'retry', step: 5, due: since }).parts), `An attempt of step 5 failed. The next one begins ${since}.`);
});

test('every kind of stop has a way out', () => {
  for (const kind of ['Panicked', 'NonDeterministic', 'ForeignWait', 'TurnLimit', 'HistoryLimit', 'Unregistered', 'New']) {
    const { what, wayOut } = stopReason(kind);
    assert.ok(what.length > 10 && wayOut.length > 10, kind);
  }
});

test('an unread event is a hint if it waits for another one', () => {
  const unread = { unreadEvents: [{ name: 'aproved', count: 2 }] };
  assert.equal(plain(unreadHint(report(unread)) ?? []), 'It has received events that it has not read: aproved (2 times).');
  const steps = [{ sequence: 1, since, waitsFor: 'event', name: 'approved' }] as WaitingStep[];
  assert.match(plain(unreadHint(report({ ...unread, steps })) ?? []), /its name differs/);
  assert.equal(unreadHint(report({})), null);
});
