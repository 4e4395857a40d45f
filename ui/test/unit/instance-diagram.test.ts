import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Diagram } from '../../src/instance/diagram';
import { History } from '../../src/instance/history';
import { flatten } from '../../src/instance/tree';
import type { TreeNode } from '../../src/instance/types';
import { Sample, approved, pay, take } from './instance-sample';

test('messages are between the orchestration and others, in both directions', () => {
  const history = new History();
  const diagram = new Diagram('order-1');
  const sample = new Sample().turn().started().scheduled(1, take).scheduled(2, approved);
  history.add(sample.events);
  diagram.follow(history);
  const known = history.events.length;
  sample.turn().completed(1, take).raised('approved').scheduled(3, pay, 2);
  history.add(sample.events.slice(known));
  diagram.follow(history);
  const shown = diagram.messages.map(({ lane, inward, text }) => [diagram.lanes[lane]?.name, inward, text]);
  assert.deepEqual(shown, [
    ['clients', true, 'execution started ship'],
    ['stock/lamp', false, 'take'],
    ['stock/lamp', true, 'take completed'],
    ['clients', true, 'event approved'],
    ['pay', false, 'run, attempt 2'],
  ]);
});

test('lanes are bounded, and the last one is shared', () => {
  const sample = new Sample().turn().started();
  for (let sequence = 1; sequence <= 50; sequence += 1) sample.scheduled(sequence, { kind: 'Activity', name: `a${sequence}` });
  const history = new History();
  history.add(sample.events);
  const diagram = new Diagram('order-1');
  diagram.follow(history);
  assert.equal(diagram.lanes.length, 8);
  assert.equal(diagram.lanes[7]?.kind, 'others');
  assert.deepEqual(diagram.messages[50], {
    event: 50, turn: 0, lane: 7, inward: false, failed: false, text: 'run', other: 'a50',
  });
});

const node = (id: string, children: TreeNode[] = []): TreeNode => ({
  instanceId: id, name: 'x', runtimeStatus: 'Running', createdTime: '', lastUpdatedTime: '',
  detached: false, truncated: false, children,
});

test('a tree is listed from top to bottom without what is folded', () => {
  const root = node('a', [node('b', [node('c')]), node('d')]);
  const shown = (folded: string[]) => flatten(root, new Set(folded), 10).map(({ node: { instanceId }, depth }) => [instanceId, depth]);
  assert.deepEqual(shown([]), [['a', 0], ['b', 1], ['c', 2], ['d', 1]]);
  assert.deepEqual(shown(['a/0/b']), [['a', 0], ['b', 1], ['d', 1]]);
  assert.equal(flatten(root, new Set(), 2).length, 2);
});
