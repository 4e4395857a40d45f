import { useEffect } from 'preact/hooks';
import { get, type Query } from './api';
import { setChangesFollowed, reportChange } from './changes';
import { subscribe } from './events';
import { type Resource, useResource } from './resource';
import type { Stats } from './types';

const STATS_EVERY_MS = 5_000;

/** Reads what the page shows again after events of the hub. */
export function useEvents(query: Query = {}): void {
  useEffect(
    () =>
      subscribe(query, (event) => {
        if (event.type !== 'hello') reportChange();
      }),
    [JSON.stringify(query)],
  );
}

/**
 * Reads what the page shows again after changes of the hub, and hardly otherwise. Events tell of most changes at once.
 * The number of commits tells of all of them a little later. Returns the statistics, which contain that number.
 */
export function useChanges(query?: Query): Resource<Stats> {
  const stats = useResource((signal) => get<Stats>('/stats', {}, signal), [], STATS_EVERY_MS, true);
  const commits = stats.data?.commits;
  const isBroken = stats.error !== null;
  useEvents(query);
  useEffect(() => {
    setChangesFollowed(!isBroken);
    return () => setChangesFollowed(false);
  }, [isBroken]);
  useEffect(() => {
    // The first number also counts: what was read before it may be older, and no event told of what happened between.
    if (isBroken || commits !== undefined) reportChange();
  }, [commits, isBroken]);
  return stats;
}
