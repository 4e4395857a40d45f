import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argumentsOf } from '../../src/pages/entity/arguments';
import { apiQuery, batchFilter, filterOf, isCounted, splitTag } from '../../src/pages/instances/filter';
import { planOf } from '../../src/pages/schedules/plan';

test('arguments are sent as the API expects them', () => {
  assert.deepEqual(argumentsOf([], {}), { body: undefined, error: null });
  assert.deepEqual(argumentsOf(['n'], { n: '5' }), { body: 5, error: null });
  assert.deepEqual(argumentsOf(['n'], { n: '' }), { body: null, error: null });
  assert.deepEqual(argumentsOf(['to', 'cents'], { to: '"bob"', cents: '7' }).body, { to: 'bob', cents: 7 });
  assert.match(argumentsOf(['n'], { n: 'five' }).error ?? '', /^n: Invalid JSON/);
});

test('a filter is read from the address', () => {
  const now = Date.parse('2026-11-20T12:00:30Z');
  const filter = filterOf(new URLSearchParams('status=Failed&status=Nonsense&since=1h&tag=shop=1=2&prefix=a'), now);
  assert.deepEqual(filter.statuses, ['Failed']);
  assert.equal(filter.from, '2026-11-20T11:00:00.000Z');
  assert.equal(apiQuery(filter).runtimeStatus, 'Failed');
  assert.deepEqual(batchFilter(filter).tags, { shop: '1=2' });
  assert.equal(isCounted(filter), false);
  assert.equal(isCounted(filterOf(new URLSearchParams('status=Failed&name=a'), now)), true);
});

test('a tag is split at its first equals sign', () => {
  assert.deepEqual(splitTag('a=b=c'), ['a', 'b=c']);
  assert.deepEqual(splitTag('a'), ['a', '']);
});

test('a plan is built from a form', () => {
  const data = new FormData();
  for (const [name, value] of Object.entries({
    orchestration: ' job ',
    cron: '0 3 * * *',
    catchUp: 'Skip',
    tags: 'a=1\n b=2 ',
  })) {
    data.set(name, value);
  }
  const plan = planOf(data, '[1]', 'utc');
  assert.equal(plan.orchestration, 'job');
  assert.equal(plan.cron, '0 3 * * *');
  assert.equal(plan.everySeconds, undefined);
  assert.deepEqual(plan.input, [1]);
  assert.deepEqual(plan.tags, { a: '1', b: '2' });
  assert.throws(() => planOf(data, '{', 'utc'), /Invalid JSON/);
  data.set('tags', 'nonsense');
  assert.throws(() => planOf(data, '', 'utc'), /key=value/);
});
