import assert from 'node:assert/strict';
import { test } from 'node:test';
import { syncLatency } from '../../src/metrics';

test('a summary has quantiles', () => {
  const text =
    'abide_sync_seconds{quantile="0.5"} 0.0002\nabide_sync_seconds{quantile="0.99"} 0.004\nabide_sync_seconds_sum 1\n';
  assert.deepEqual(syncLatency(text), { p50: 0.2, p99: 4 });
});

test('a histogram has buckets', () => {
  const bucket = (le: string, n: number) => `abide_sync_seconds_bucket{hub="a",le="${le}"} ${n}\n`;
  const text = bucket('0.001', 60) + bucket('0.01', 99) + bucket('+Inf', 100);
  assert.deepEqual(syncLatency(text), { p50: 1, p99: 10 });
});

test('without a recorder there is none', () => {
  assert.equal(syncLatency('abide_hub_commits_total 3\n'), null);
});
