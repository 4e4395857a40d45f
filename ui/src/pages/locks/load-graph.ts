import { entitySegments, get, path } from '../../api';
import { age } from '../../format';
import type { EntityDetails, Lock, Waiting } from '../../types';
import { why } from '../../why';
import { type Graph, waitGraph } from './wait-graph';

/** Locks whose queues and owners are read. */
const MOST_LOCKS = 30;
const AT_ONCE = 4;

/** Reads who waits for the locks. The number of requests is bounded. */
export async function loadGraph(locks: readonly Lock[], signal: AbortSignal): Promise<Graph> {
  const shown = locks.slice(0, MOST_LOCKS);
  const details = await all(shown, ({ entityId: { name, key } }) =>
    get<EntityDetails>(`/entities/${entitySegments(name, key)}/details`, {}, signal),
  );
  const owners = new Set(shown.map(({ owner }) => owner));
  const reports = await all([...owners], (id) => get<Waiting>(path`/instances/${id}/waiting`, {}, signal));
  const graph = waitGraph(shown, details, reports, hint);
  return { ...graph, isTruncated: graph.isTruncated || shown.length < locks.length };
}

/** Returns what an instance waits for as text. */
function hint(waiting: Waiting): string {
  return why(waiting)
    .map((part) => {
      if (typeof part === 'string') return part;
      if ('due' in part) return age(part.due);
      return 'ago' in part ? age(part.ago).replace(' ago', '') : Object.values(part)[0];
    })
    .join('')
    .replace('Waits for ', '');
}

/** Sends a few requests at once and leaves out those that fail, such as those of an instance that was purged. */
async function all<T, R>(items: readonly T[], load: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    const settled = await Promise.allSettled(items.slice(at, at + AT_ONCE).map(load));
    for (const result of settled) if (result.status === 'fulfilled') results.push(result.value);
  }
  return results;
}
