import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timelineQuery } from '../../src/pages/overview/timeline';
import { RANGES } from '../../src/ranges';
import { ticks } from '../../src/scale';

test('a range covers now and begins at a multiple of its buckets', () => {
  const now = Date.parse('2026-11-20T12:34:56Z');
  for (const range of RANGES) {
    const { from, to, buckets } = timelineQuery(range, now);
    const size = range.ms / buckets;
    assert.equal(Date.parse(to) - Date.parse(from), range.ms);
    assert.equal(Date.parse(from) % size, 0);
    assert.ok(Date.parse(to) > now && Date.parse(to) - now <= size);
  }
});

test('the marks of an axis are round', () => {
  assert.deepEqual(ticks(0), [0, 1]);
  assert.deepEqual(ticks(14), [0, 5, 10, 15]);
  assert.deepEqual(ticks(1_000), [0, 500, 1_000]);
  assert.ok(ticks(987_654).length <= 6);
});
