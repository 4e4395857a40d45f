import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisOf, densities, markColumns, outline, pan, ticks, total, visible, zoom } from '../../src/instance/gantt';
import { History } from '../../src/instance/history';
import { Sample, pay, take } from './instance-sample';

function history(): History {
  const result = new History();
  result.add(
    new Sample()
      .turn().started().scheduled(1, pay).scheduled(2, take)
      .turn().completed(1, pay).scheduled(3, pay)
      .turn().failed(3, pay)
      .turn().turn().completed(2, take).events,
  );
  return result;
}

const bounds = { from: 0, to: 1_000 };

test('zooming keeps the point under the mouse and stays within the bounds', () => {
  const near = zoom({ from: 0, to: 1_000 }, bounds, 0.5, 0.5);
  assert.deepEqual(near, { from: 250, to: 750 });
  assert.deepEqual(zoom(near, bounds, 10, 0.5), bounds);
  assert.deepEqual(zoom({ from: 0, to: 1 }, bounds, 0.1, 0), { from: 0, to: 1 });
});

test('panning stops at the bounds', () => {
  assert.deepEqual(pan({ from: 250, to: 750 }, bounds, 0.1), { from: 300, to: 800 });
  assert.deepEqual(pan({ from: 250, to: 750 }, bounds, 9), { from: 500, to: 1_000 });
});

test('steps are visible if they overlap the window', () => {
  const sample = history();
  const axis = axisOf('time', sample, 0);
  const inside = (from: number, to: number) => visible(sample.rows, axis, { from, to }).map((row) => row.sequence);
  assert.deepEqual(inside(0, 500), [1, 2]);
  assert.deepEqual(inside(1_200, 1_300), [2, 3]);
  assert.deepEqual(inside(2_500, 4_000), [2]);
});

test('a density counts open steps per column and marks failures', () => {
  const sample = history();
  const axis = axisOf('time', sample, 0);
  const [payDensity, takeDensity] = densities(sample, axis, axis.bounds, 4);
  assert.deepEqual([...(payDensity?.open ?? [])], [1, 1, 0, 0]);
  assert.deepEqual([...(payDensity?.failed ?? [])], [0, 1, 0, 0]);
  assert.deepEqual([...(takeDensity?.open ?? [])], [1, 1, 1, 1]);
  assert.equal(total([payDensity!, takeDensity!], 4).most, 2);
  assert.equal(outline(payDensity!), 'M0 100V0H2V100Z');
});

test('an open step reaches the end of the axis', () => {
  const sample = new History();
  sample.add(new Sample().turn().started().scheduled(1, pay).events);
  const axis = axisOf('time', sample, 5_000);
  assert.deepEqual([...densities(sample, axis, axis.bounds, 2)[0]!.open], [1, 1]);
});

test('the axis of turns gives each turn the same room', () => {
  assert.deepEqual(axisOf('turn', history(), 0).bounds, { from: 0, to: 5 });
});

test('marks of one column are one mark', () => {
  const axis = axisOf('time', history(), 0);
  const marks = [0, 1, 2, 3_000].map((time, event) => ({ time, turn: 0, event }));
  assert.deepEqual(markColumns(marks, axis, axis.bounds, 10), [
    { column: 0, event: 0 },
    { column: 7, event: 3 },
  ]);
});

test('ticks are round and few', () => {
  const axis = axisOf('time', history(), 0);
  assert.deepEqual(ticks(axis, axis.bounds, 8), [0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500]);
  const turns = axisOf('turn', history(), 0);
  assert.deepEqual(ticks(turns, { from: 0, to: 50_000 }, 8), [0, 10_000, 20_000, 30_000, 40_000]);
});

test('the layout of 50,000 events is not quadratic', () => {
  const sample = new Sample().turn().started();
  for (let sequence = 1; sequence < 25_000; sequence += 1) sample.scheduled(sequence, pay).turn().completed(sequence, pay);
  const large = new History();
  large.add(sample.events);
  const axis = axisOf('time', large, 0);
  const start = performance.now();
  densities(large, axis, axis.bounds, 400);
  visible(large.rows, axis, axis.bounds);
  assert.ok(performance.now() - start < 500);
});
