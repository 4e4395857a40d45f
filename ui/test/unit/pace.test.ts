import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from '../../src/pace';

const LONGEST_MS = 5_000;
const SOON_MS = 2_000;

/** Tells of a change every `everyMs`. Returns when they are answered. */
function answers(everyMs: number, untilMs: number): number[] {
  const pace = new Pace(LONGEST_MS);
  const times: number[] = [];
  let due = -1;
  for (let now = 0; now < untilMs; now += everyMs) {
    if (now <= due) continue;
    due = now + pace.wait(now);
    times.push(due);
  }
  return times;
}

test('a rare change is answered soon, whatever was before it', () => {
  const pace = new Pace(LONGEST_MS);
  for (let now = 0; now < 600_000; now += 20_000) {
    const wait = pace.wait(now);
    assert.ok(wait > 0 && wait < SOON_MS / 4, `${wait} ms`);
  }
});

test('changes shortly after a rare one are answered soon as well', () => {
  const pace = new Pace(LONGEST_MS);
  const first = pace.wait(0);
  assert.ok(pace.wait(first + 10) < SOON_MS);
});

test('changes that keep coming are answered at the longest pause', () => {
  const times = answers(10, 120_000);
  const pauses = times.slice(1).map((time, at) => time - times[at]!);
  assert.deepEqual([...new Set(pauses.slice(5))], [LONGEST_MS]);
  assert.deepEqual(pauses.toSorted((a, b) => a - b), pauses);
});
