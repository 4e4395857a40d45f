// Addresses within the app, as pure functions.

export interface Route {
  /** Decoded segments: `#/instances/a%2Fb` has `['instances', 'a/b']`. */
  path: string[];
  query: URLSearchParams;
}

export type RouteQuery = Record<string, string | number | boolean | null | undefined | readonly string[]>;

/** Reads the part of an address after its `#`. */
export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#?\/?/, '');
  const mark = text.indexOf('?');
  const path = mark < 0 ? text : text.slice(0, mark);
  return {
    path: path
      .split('/')
      .filter((part) => part !== '')
      .map(decode),
    query: new URLSearchParams(mark < 0 ? '' : text.slice(mark + 1)),
  };
}

/** Returns an address, with every segment encoded. */
export function href(path: readonly string[], query?: RouteQuery | URLSearchParams): string {
  const search = query instanceof URLSearchParams ? query : searchOf(query ?? {});
  const text = search.toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}

/** Returns the address of an instance. */
export function instanceHref(id: string): string {
  return href(['instances', id]);
}

/** Returns the address of an entity. The empty key is written as `$`. */
export function entityHref(name: string, key: string): string {
  return href(['entities', name, key === '' ? '$' : key]);
}

/** Reads an id of an entity such as `@stock@lamp`. */
export function entityOf(id: string): { name: string; key: string } | null {
  const match = /^@([^@]+)@([\s\S]*)$/.exec(id);
  return match ? { name: match[1]!, key: match[2]! } : null;
}

/** Returns the address of an instance or, for an id such as `@stock@lamp`, of an entity. */
export function anyHref(id: string): string {
  const entity = entityOf(id);
  return entity ? entityHref(entity.name, entity.key) : instanceHref(id);
}

/** Returns a copy of a query with other values. Empty values are removed. */
export function changed(query: URLSearchParams, patch: RouteQuery): URLSearchParams {
  const result = new URLSearchParams(query);
  for (const name of Object.keys(patch)) result.delete(name);
  for (const [name, value] of searchOf(patch)) result.append(name, value);
  return result;
}

function searchOf(query: RouteQuery): URLSearchParams {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '' || value === false) continue;
    for (const one of Array.isArray(value) ? (value as string[]) : [String(value)]) search.append(name, one);
  }
  return search;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
