import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entitySegments, path } from '../../src/path';

test('every inserted value stays within its segment', () => {
  assert.equal(path`/instances/${'order-1'}/history`, '/instances/order-1/history');
  assert.equal(path`/instances/${'a b%2f/../?x#y'}`, '/instances/a%20b%252f%2F..%2F%3Fx%23y');
  assert.equal(path`/instances/${'@stock@lämp'}`, '/instances/%40stock%40l%C3%A4mp');
  assert.equal(path`/turns/${7}`, '/turns/7');
});

test('dot segments are refused, because browsers resolve them', () => {
  for (const id of ['.', '..', '%2e', '%2E%2e', '.%2e']) assert.throws(() => path`/instances/${id}`, /not an id/);
  assert.equal(path`/instances/${'...'}`, '/instances/...');
});

test('the empty key of an entity is written as a dollar sign', () => {
  assert.equal(entitySegments('stock', ''), 'stock/$');
  assert.equal(entitySegments('stock', 'a/b'), 'stock/a%2Fb');
});
