import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layoutOf, waitGraph } from '../../src/pages/locks/wait-graph';
import type { EntityDetails, Lock, Waiting } from '../../src/types';

function lock(key: string, owner: string): Lock {
  return { entityId: { name: 'account', key }, owner, executionId: 'e', since: '', sequence: 1 };
}

function queue(key: string, ...sources: string[]): EntityDetails {
  const messages = sources.map((source) => ({ kind: 'lock' as const, operation: null, source, input: null }));
  return {
    entityId: { name: 'account', key },
    waiting: { count: 1, atLeast: false, messages },
  } as unknown as EntityDetails;
}

function report(id: string, ...steps: unknown[]): Waiting {
  return { id, name: 'transfer', status: 'Running', lastChange: '', steps, messages: 0 } as Waiting;
}

test('an arrow leads from a waiter over the entity to its owner', () => {
  const graph = waitGraph([lock('a', 't1')], [queue('a', 't2')], [report('t1')], () => 'an event');
  assert.deepEqual(graph.edges, [
    { from: '@account@a', to: 't1', kind: 'held' },
    { from: 't2', to: '@account@a', kind: 'waits' },
  ]);
  assert.equal(graph.nodes.find(({ id }) => id === 't1')?.hint, 'an event');
  const { places, columns, cycle } = layoutOf(graph);
  assert.equal(columns, 3);
  assert.deepEqual(
    ['t2', '@account@a', 't1'].map((id) => places.get(id)?.column),
    [0, 1, 2],
  );
  assert.equal(cycle.size, 0);
});

test('a cycle is found and laid out', () => {
  const graph = waitGraph([lock('a', 't1'), lock('b', 't2')], [queue('a', 't2', 't3'), queue('b', 't1')], [], () => '');
  const { places, cycle } = layoutOf(graph);
  assert.deepEqual([...cycle].sort(), ['@account@a', '@account@b', 't1', 't2']);
  assert.equal(places.size, graph.nodes.length);
  const taken = new Set([...places.values()].map(({ column, row }) => `${column} ${row}`));
  assert.equal(taken.size, places.size);
});

test('an owner waits for its sub-orchestration', () => {
  const step = { waitsFor: 'subOrchestration', instance: 'child', name: 'c', cause: { report: report('child') } };
  const graph = waitGraph([lock('a', 't1')], [], [report('t1', step)], () => '');
  assert.ok(graph.edges.some(({ from, to }) => from === 't1' && to === 'child'));
});

test('the size of the graph is bounded', () => {
  const locks = Array.from({ length: 200 }, (_, at) => lock(String(at), `t${at}`));
  const graph = waitGraph(locks, [], [], () => '');
  assert.equal(graph.isTruncated, true);
  assert.ok(graph.nodes.length <= 80);
});
