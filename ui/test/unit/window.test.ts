import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visibleRange } from '../../src/window';

test('the visible rows and a margin are rendered', () => {
  const view = visibleRange(1_000, 30, 3_000, 300);
  assert.ok(view.first <= 100 && view.first >= 80);
  assert.ok(view.end >= 110 && view.end <= 130);
  assert.equal(view.height, 30_000);
  assert.equal(view.offsetOf(100), 3_000);
});

test('a list of millions stays within what browsers can scroll', () => {
  const count = 1_000_000;
  const top = visibleRange(count, 30, 0, 600);
  assert.ok(top.height <= 8_000_000);
  const bottom = visibleRange(count, 30, top.height - 600, 600);
  assert.equal(bottom.end, count);
  assert.ok(Math.abs(bottom.offsetOf(count - 1) + 30 - top.height) < 1);
});

test('a row is scrolled into view only if it is outside', () => {
  const view = visibleRange(1_000, 30, 3_000, 300);
  assert.equal(view.reveal(102, 30), 3_000);
  assert.equal(view.reveal(50, 30), 1_500);
  assert.equal(view.reveal(200, 30), 200 * 30 + 30 + 30 - 300);
});

test('an empty list has no rows', () => {
  const view = visibleRange(0, 30, 0, 300);
  assert.deepEqual([view.first, view.end, view.height], [0, 0, 0]);
});
