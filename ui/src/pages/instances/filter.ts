// The filter of the list of instances, which is part of the address.
import type { Query } from '../../api';
import { beginOf, rangeOf } from '../../ranges';
import { type BatchFilter, type RuntimeStatus, STATUSES } from '../../types';

export interface Filter {
  statuses: RuntimeStatus[];
  name: string;
  prefix: string;
  from: string | null;
  to: string | null;
  tags: string[];
  unregistered: boolean;
}

/** Reads the filter from an address. `now` is the end of ranges such as "last hour". */
export function filterOf(query: URLSearchParams, now: number): Filter {
  const range = rangeOf(query.get('since'));
  return {
    statuses: STATUSES.filter((status) => query.getAll('status').includes(status)),
    name: query.get('name') ?? '',
    prefix: query.get('prefix') ?? '',
    from: range ? beginOf(range, now) : query.get('from'),
    to: query.get('to'),
    tags: query.getAll('tag'),
    unregistered: query.get('unregistered') === 'true',
  };
}

/** Returns the query of the API. */
export function apiQuery(filter: Filter): Query {
  return {
    ...common(filter),
    runtimeStatus: filter.statuses.join(',') || undefined,
    tag: filter.tags,
  };
}

/** Returns the filter of a batch on everything that the list shows. */
export function batchFilter(filter: Filter): BatchFilter {
  return {
    ...common(filter),
    runtimeStatus: filter.statuses.length > 0 ? filter.statuses : undefined,
    tags: filter.tags.length > 0 ? Object.fromEntries(filter.tags.map(splitTag)) : undefined,
  };
}

/** What both write in the same way. */
function common({ name, prefix, from, to, unregistered }: Filter) {
  return {
    name: name || undefined,
    instanceIdPrefix: prefix || undefined,
    createdTimeFrom: from ?? undefined,
    createdTimeTo: to ?? undefined,
    unregistered: unregistered || undefined,
  };
}

/** Splits `key=value`. Only the key lacks an equals sign. */
export function splitTag(tag: string): [string, string] {
  const at = tag.indexOf('=');
  return at < 0 ? [tag, ''] : [tag.slice(0, at), tag.slice(at + 1)];
}

/** True if only the status and the type are restricted, which the counts of the hub answer. */
export function isCounted(filter: Filter): boolean {
  return !filter.prefix && !filter.from && !filter.to && filter.tags.length === 0 && !filter.unregistered;
}
