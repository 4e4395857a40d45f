import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History, last } from '../../src/instance/history';
import { SearchTexts, historyLines } from '../../src/instance/history-lines';
import { Sample, approved, lock, pay, take, timer } from './instance-sample';

function read(sample: Sample): History {
  const history = new History();
  history.add(sample.events);
  return history;
}

const states = (history: History) => history.rows.map((row) => [row.sequence, last(row).state]);

test('attempts of a step are stretches of one row, and the timer between them is its delay', () => {
  const history = read(
    new Sample()
      .turn().started().scheduled(1, pay)
      .turn().failed(1, pay).scheduled(2, timer)
      .turn().completed(2, timer).scheduled(1, pay, 2)
      .turn().completed(1, pay),
  );
  const [row, delay] = history.rows;
  assert.deepEqual(row?.spans.map((span) => [span.from, span.to, span.state]), [
    [0, 1_000, 'failed'],
    [2_000, 3_000, 'completed'],
  ]);
  assert.equal(delay?.delays, row);
});

test('a timer that is set after a failure without another attempt delays nothing', () => {
  const history = read(new Sample().turn().started().scheduled(1, pay).turn().failed(1, pay).scheduled(2, timer));
  assert.equal(history.rows[1]?.delays, null);
});

test('an event ends the oldest open wait of its name, whatever its case', () => {
  const history = read(
    new Sample()
      .turn().started().scheduled(1, approved).scheduled(2, approved).scheduled(3, approved)
      .turn().canceled(1, approved)
      .turn().raised('APPROVED'),
  );
  assert.deepEqual(states(history), [[1, 'canceled'], [2, 'completed'], [3, 'open']]);
});

test('an event that came before its wait is read at once', () => {
  const history = read(new Sample().turn().started().raised('approved').turn().scheduled(1, approved).scheduled(2, approved));
  assert.deepEqual(states(history), [[1, 'completed'], [2, 'open']]);
  assert.equal(history.events[last(history.rows[0]!).end]?.event, 'EventRaised');
});

test('a lock is waited for, held and released', () => {
  const history = read(
    new Sample().turn().started().scheduled(1, lock).turn().completed(1, lock).turn().turn().released(1, lock),
  );
  assert.deepEqual(history.rows[0]?.spans.map((span) => [span.from, span.to, span.state]), [
    [0, 1_000, 'completed'],
    [1_000, 3_000, 'held'],
  ]);
});

test('open steps are those that a turn left open, and no held locks', () => {
  const history = read(
    new Sample()
      .turn().started().scheduled(1, lock).scheduled(2, pay)
      .turn().completed(1, lock)
      .turn().completed(2, pay).scheduled(3, take)
      .turn().completed(3, take).released(1, lock),
  );
  const open = (turn: number) => history.openAfter(turn).map((row) => row.sequence);
  assert.deepEqual([open(0), open(1), open(2), open(3)], [[1, 2], [2], [3], []]);
});

test('the end of the execution ends what was open', () => {
  const history = read(
    new Sample().turn().started().scheduled(1, pay).turn().add({ event: 'ExecutionTerminated', reason: 'why', byParent: false }),
  );
  assert.deepEqual(states(history), [[1, 'canceled']]);
});

test('a step that began before the history has a row', () => {
  const history = read(new Sample().turn().started().completed(9, null));
  assert.deepEqual(states(history), [[9, 'completed']]);
});

test('both sides of a turn share its lines', () => {
  const history = read(new Sample().turn().started().scheduled(1, pay).scheduled(2, take).turn().completed(1, pay).completed(2, take));
  const lines = historyLines(history, { group: 'all', text: '' }, new SearchTexts());
  assert.deepEqual(lines.map(({ turn, isFirst, told, asked }) => [turn, isFirst, told, asked]), [
    [0, true, 0, 1],
    [0, false, -1, 2],
    [1, true, 3, -1],
    [1, false, 4, -1],
  ]);
});

test('the search finds names, keys of entities, payloads and failures', () => {
  const history = read(new Sample().turn().started().scheduled(1, pay).scheduled(2, take).turn().failed(1, pay).completed(2, take));
  const found = (text: string, group: 'all' | 'failed' | 'EntityCall' = 'all') =>
    historyLines(history, { group, text }, new SearchTexts()).length;
  assert.equal(found('LAMP'), 2);
  assert.equal(found('no funds'), 1);
  assert.equal(found('lamp funds'), 0);
  assert.equal(found('', 'failed'), 1);
  assert.equal(found('', 'EntityCall'), 2);
});

test('groups are bounded, although names may contain ids', () => {
  const sample = new Sample().turn().started();
  for (let sequence = 1; sequence <= 1_000; sequence += 1) sample.scheduled(sequence, { kind: 'Event', name: `paid-${sequence}` });
  const history = read(sample);
  assert.equal(history.groups.length, 201);
  assert.equal(history.rows.filter((row) => row.group === 200).length, 800);
});
