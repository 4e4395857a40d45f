import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, bytes, count, duration, fromInput, fullTime, preview, time, toInput, words } from '../../src/text';

const T = '2026-11-20T13:40:21.512345678Z';

test('times are shown in the chosen zone', () => {
  assert.equal(time(T, 'utc'), '2026-11-20 13:40:21');
  assert.equal(fullTime(T, 'utc'), '2026-11-20 13:40:21.512 UTC');
  const local = new Date(Date.parse(T));
  assert.equal(time(T, 'local').slice(11, 13), String(local.getHours()).padStart(2, '0'));
  assert.equal(time(null, 'utc'), '–');
  assert.equal(time('no time', 'local'), '–');
  assert.equal(time('9999-12-31T23:59:59.999Z', 'utc'), '9999-12-31 23:59:59');
});

test('an age has one unit and a direction', () => {
  const now = Date.parse(T);
  assert.equal(age(now - 400, now), 'now');
  assert.equal(age(now - 42_000, now), '42 s ago');
  assert.equal(age(now - 300_000, now), '5 min ago');
  assert.equal(age(now + 3 * 3_600_000, now), 'in 3 h');
  assert.equal(age(now - 30 * 86_400_000, now), '30 d ago');
  assert.equal(age(undefined, now), '–');
});

test('a duration has at most two units', () => {
  assert.equal(duration(0), '0 ms');
  assert.equal(duration(0.25), '250 µs');
  assert.equal(duration(3.14), '3.1 ms');
  assert.equal(duration(340), '340 ms');
  assert.equal(duration(2_500), '2.5 s');
  assert.equal(duration(270_000), '4 min 30 s');
  assert.equal(duration(7_200_000), '2 h');
  assert.equal(duration(51 * 3_600_000), '2 d 3 h');
  assert.equal(duration(-1_000), '-1 s');
  assert.equal(duration(Number.NaN), '–');
});

test('numbers and sizes', () => {
  assert.equal(count(1_234_567), '1,234,567');
  assert.equal(count(0.25), '0.25');
  assert.equal(bytes(512), '512 B');
  assert.equal(bytes(1_536), '1.5 KiB');
  assert.equal(bytes(64 * 1_024 * 1_024), '64 MiB');
});

test('a preview is one line of bounded length', () => {
  assert.equal(preview(null), '');
  assert.equal(preview('two\nlines'), 'two lines');
  assert.equal(preview({ a: [1, 2] }), '{"a":[1,2]}');
  assert.equal(preview('x'.repeat(500), 10), `${'x'.repeat(10)}…`);
});

test('names in camel case become words', () => {
  assert.equal(words('ContinuedAsNew'), 'Continued as new');
  assert.equal(words('walLive'), 'Wal live');
});

test('a time survives an input of type datetime-local', () => {
  for (const zone of ['utc', 'local'] as const) {
    assert.equal(fromInput(toInput('2026-03-01T08:30:00.000Z', zone), zone), '2026-03-01T08:30:00.000Z');
  }
  assert.equal(toInput(null, 'utc'), '');
  assert.equal(fromInput('', 'utc'), null);
});
