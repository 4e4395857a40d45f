import { useMemo, useState } from 'preact/hooks';
import { getPage, path } from '../../api';
import { type Column, Link, PagedTable, PageHead, SearchField, Time } from '../../components';
import { preview } from '../../format';
import { useGet } from '../../resource';
import { entityHref, navigate, route, setQuery } from '../../router';
import type { Counts, EntityRow } from '../../types';
import { usePagedList } from '../../use-paged-list';

const PAGE = 200;
/** Page size while searching by the beginning of a key, which the API does not filter by. */
const SEARCH_PAGE = 2_000;
const COUNTS_EVERY_MS = 15_000;

interface Row {
  name: string;
  key: string;
  changed: string;
  state: string;
}

const COLUMNS: readonly Column[] = [
  { id: 'name', header: 'Type', width: 120, grow: 1 },
  { id: 'key', header: 'Key', width: 160, grow: 2 },
  { id: 'state', header: 'State', width: 160, grow: 3 },
  { id: 'changed', header: 'Last operation', width: 164 },
];

/** Entities that have a state. */
export function EntitiesPage() {
  const { query, path: segments } = route.value;
  // `#/entities/stock` is an address that people type.
  const type = segments[1] ?? query.get('type') ?? '';
  const prefix = query.get('prefix') ?? '';
  const [loads, setLoads] = useState(0);
  const counts = useGet<Counts>('/counts', COUNTS_EVERY_MS);
  const list = usePagedList(
    async (token, signal) => {
      const of = type === '' ? '/entities' : path`/entities/${type}`;
      const query = { fetchState: prefix === '', top: prefix === '' ? PAGE : SEARCH_PAGE };
      const page = await getPage<EntityRow>(of, query, token, signal);
      const items = page.items.filter(({ entityId }) => entityId.key.startsWith(prefix)).map(rowOf);
      return { ...page, items, searched: page.items.length };
    },
    [type, prefix, loads],
  );
  const columns = useMemo(() => COLUMNS.filter(({ id }) => id !== 'state' || prefix === ''), [prefix]);
  const known = counts.data?.entities ?? [];
  const types = known.some(({ name }) => name === type) || type === '' ? known : [...known, { name: type, count: 0 }];
  const total = known.reduce((sum, { name, count }) => (type === '' || name === type ? sum + count : sum), 0);

  return (
    <div class="fill">
      <PageHead title="Entities">
        <button type="button" onClick={() => setLoads(loads + 1)}>
          Reload
        </button>
      </PageHead>
      <div class="filters" role="search" aria-label="Filter of the entities">
        <SearchField label="Key begins with" value={prefix} onApply={(prefix) => setQuery({ prefix })} main />
        <select
          aria-label="Type"
          value={type}
          onChange={(event) => navigate(`#/entities${search({ type: event.currentTarget.value, prefix })}`, true)}
        >
          <option value="">Any type</option>
          {types.map(({ name, count }) => (
            <option key={name} value={name}>
              {name} ({count})
            </option>
          ))}
        </select>
      </div>
      <PagedTable
        list={list}
        noun="entities"
        empty="No entity matches"
        columns={columns}
        cells={(row) => cells(row, prefix === '')}
        to={({ name, key }) => entityHref(name, key)}
        total={prefix === '' && counts.data ? total : null}
      />
    </div>
  );
}

function cells(row: Row, hasState: boolean) {
  const key = (
    <Link to={entityHref(row.name, row.key)} class="id" title={row.key} tabIndex={-1}>
      {row.key === '' ? '(empty key)' : row.key}
    </Link>
  );
  const state = (
    <span class="mono" title={row.state}>
      {row.state}
    </span>
  );
  return [row.name, key, ...(hasState ? [state] : []), <Time t={row.changed} />];
}

function rowOf({ entityId, lastOperationTime, state }: EntityRow): Row {
  return { ...entityId, changed: lastOperationTime, state: preview(state, 160) };
}

function search(query: Record<string, string>): string {
  const given = Object.entries(query).filter(([, value]) => value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
