import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { PagedList } from '../../src/paged-list';

const PAGE = 200;

/** A list of numbers, which records its requests. */
function numbers(total: number) {
  const requests: string[] = [];
  const list = new PagedList<number>(
    async (token) => {
      requests.push(String(token));
      const start = Number(token ?? 0);
      const end = Math.min(total, start + PAGE);
      const items = Array.from({ length: end - start }, (_, at) => start + at);
      return { items, next: end < total ? String(end) : null, unreadable: 0 };
    },
    () => {},
  );
  return { list, requests };
}

async function show(list: PagedList<number>, first: number): Promise<void> {
  list.show(first, first + 30);
  while (list.isLoading) await pause(0);
}

test('only what is near the visible rows is loaded', async () => {
  const { list, requests } = numbers(1_000_000);
  await show(list, 0);
  assert.deepEqual(requests, ['null']);
  assert.equal(list.at(29), 29);
  assert.equal(list.isComplete, false);
});

test('pages far away are dropped and loaded again', async () => {
  const { list, requests } = numbers(1_000_000);
  for (let first = 0; first < 20_000; first += 100) await show(list, first);
  assert.ok(list.loaded().length <= 4_200);
  assert.equal(list.at(0), undefined);
  assert.equal(list.at(19_900), 19_900);
  const before = requests.length;
  await show(list, 0);
  assert.equal(list.at(0), 0);
  assert.equal(requests.length, before + 1);
});

test('a list ends with its last page', async () => {
  const { list } = numbers(250);
  await show(list, 0);
  await show(list, 240);
  assert.equal(list.count, 250);
  assert.equal(list.isComplete, true);
});

test('an error stops the list until it is resumed', async () => {
  let isBroken = true;
  const list = new PagedList<number>(
    async () => {
      if (isBroken) throw new Error('unreachable');
      return { items: [1], next: null, unreadable: 2 };
    },
    () => {},
  );
  await show(list, 0);
  assert.equal(list.error?.message, 'unreachable');
  isBroken = false;
  list.resume();
  while (list.isLoading) await pause(0);
  assert.equal(list.error, null);
  assert.equal(list.unreadable, 2);
});

test('a search without matches pauses', async () => {
  let requests = 0;
  const list = new PagedList<number>(
    async () => ({ items: [], next: String(++requests), unreadable: 0, searched: 10 }),
    () => {},
  );
  await show(list, 0);
  assert.equal(list.isPaused, true);
  assert.ok(requests < 100);
  assert.equal(list.searched, requests * 10);
});

test('rows in memory are patched', async () => {
  const { list } = numbers(10);
  await show(list, 0);
  list.patch((n) => (n === 3 ? 33 : null));
  assert.equal(list.at(3), 33);
  assert.equal(list.at(4), 4);
});
