import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTurns, readChunks } from '../../src/instance/chunks';
import type { HistoryEvent } from '../../src/types';

const history = (turns: number): HistoryEvent[] =>
  Array.from({ length: turns }, (_, turn) => ({ turn, time: '', event: 'ExecutionResumed', reason: '' }));

async function read(from: number, fetch: (from: number, turns: number) => HistoryEvent[]) {
  const requests: [number, number][] = [];
  const turns: number[] = [];
  await readChunks(
    from,
    async (fromTurn, count) => {
      requests.push([fromTurn, count]);
      return fetch(fromTurn, count);
    },
    (events) => {
      turns.push(...events.map((event) => event.turn));
      return true;
    },
  );
  return { requests, turns };
}

test('pieces follow each other until the last one is not full', async () => {
  const all = history(450);
  const { requests, turns } = await read(0, (from, count) => all.slice(from, from + count));
  assert.deepEqual(turns, all.map((event) => event.turn));
  assert.deepEqual(requests, [[0, 200], [200, 4_000]]);
});

test('turns that are known are not asked for again', async () => {
  const all = history(450);
  const { requests, turns } = await read(440, (from, count) => all.slice(from, from + count));
  assert.deepEqual(requests, [[440, 200]]);
  assert.equal(turns.length, 10);
});

test('a piece that ends exactly at the last turn is followed by an empty one', async () => {
  const all = history(200);
  const { requests, turns } = await read(0, (from, count) => all.slice(from, from + count));
  assert.equal(turns.length, 200);
  assert.equal(requests.length, 2);
});

test('the size of pieces follows the number of events in a turn', () => {
  assert.equal(nextTurns(200, 200_000), 4);
  assert.equal(nextTurns(200, 100), 5_000);
});
