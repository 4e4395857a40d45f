import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from '../../src/exact';

test('documents are parsed as JSON', () => {
  assert.deepEqual(parse('{"a":[1,2.5,"x",null]}'), { a: [1, 2.5, 'x', null] });
  assert.throws(() => parse('{'));
});

test('integers of 64 bits keep their digits', { skip: !('rawJSON' in JSON) }, () => {
  const text = '{"id":18446744073709551615,"n":1234567890123456,"x":0.1234567890123456789}';
  assert.equal(JSON.stringify(parse(text)), text);
});
