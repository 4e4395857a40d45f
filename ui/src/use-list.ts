import { useRef } from 'preact/hooks';
import { getPage, type Query } from './api';
import { type Resource, useResource } from './resource';

const STEP = 200;
/** Longest list. A page with more rows is slow. */
const MOST = 5_000;

export interface ShortList<T> extends Resource<T[]> {
  items: T[];
  hasMore: boolean;
  unreadable: number;
  /** Shows further rows. */
  more(): void;
}

/** Loads a list that is usually short, and again every `everyMs`. */
export function useList<T>(path: string, query: Query, everyMs?: number): ShortList<T> {
  const top = useRef(STEP);
  const resource = useResource(
    (signal) => getPage<T>(path, { ...query, top: top.current }, null, signal),
    [path, JSON.stringify(query)],
    everyMs,
  );
  const { data } = resource;
  return {
    ...resource,
    data: data?.items,
    items: data?.items ?? [],
    hasMore: data?.next != null && top.current < MOST,
    unreadable: data?.unreadable ?? 0,
    more() {
      top.current = Math.min(top.current * 4, MOST);
      resource.reload();
    },
  };
}
