import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyHref, changed, entityHref, entityOf, href, instanceHref, parseRoute } from '../../src/route';

test('an address is read as it was written', () => {
  const id = 'a/b?c#d%e ü';
  const { path, query } = parseRoute(
    href(['instances', id], { status: ['Failed', 'Running'], prefix: 'x&y', live: false }),
  );
  assert.deepEqual(path, ['instances', id]);
  assert.deepEqual(query.getAll('status'), ['Failed', 'Running']);
  assert.equal(query.get('prefix'), 'x&y');
  assert.equal(query.has('live'), false);
});

test('the overview has the empty address', () => {
  assert.deepEqual(parseRoute('').path, []);
  assert.deepEqual(parseRoute('#/').path, []);
  assert.equal(href([]), '#/');
});

test('an address that is not encoded well does not fail', () => {
  assert.deepEqual(parseRoute('#/instances/100%').path, ['instances', '100%']);
});

test('every address begins within the app', () => {
  for (const id of ['javascript:alert(1)', '//example.com', '"><script>']) {
    assert.match(instanceHref(id), /^#\/instances\/[\w%.()~!'*-]+$/);
  }
});

test('an id of an entity leads to its page', () => {
  assert.deepEqual(entityOf('@stock@lamp'), { name: 'stock', key: 'lamp' });
  assert.deepEqual(entityOf('@stock@'), { name: 'stock', key: '' });
  assert.equal(entityOf('order-1'), null);
  assert.equal(anyHref('@stock@a@b'), '#/entities/stock/a%40b');
  assert.equal(anyHref('order-1'), '#/instances/order-1');
  assert.equal(entityHref('stock', ''), '#/entities/stock/%24');
});

test('a change of a query keeps the rest', () => {
  const before = new URLSearchParams('status=Failed&status=Running&name=a');
  assert.equal(changed(before, { status: ['Failed'] }).toString(), 'name=a&status=Failed');
  assert.equal(changed(before, { status: null, name: '' }).toString(), '');
});
