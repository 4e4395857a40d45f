import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventParser } from '../../src/event-parser';

const STREAM = ': ping\n\nevent: hello\ndata: {}\n\nid: 7\r\nevent: ended\r\ndata: {"id":\r\ndata: "a"}\r\n\r\n';
const EVENTS = [
  { id: null, event: 'hello', data: '{}' },
  { id: '7', event: 'ended', data: '{"id":\n"a"}' },
];

test('events are read from a stream', () => {
  assert.deepEqual(new EventParser().push(STREAM), EVENTS);
});

test('pieces may end anywhere', () => {
  for (let size = 1; size < 12; size++) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...parser.push(STREAM.slice(at, at + size)));
    assert.deepEqual(events, EVENTS, `pieces of ${size}`);
  }
});
