import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { getPage } from '../../api';
import { PagedTable, PageHead } from '../../components';
import { count } from '../../format';
import { useGet } from '../../resource';
import { instanceHref, route, setQuery } from '../../router';
import { canOperate } from '../../store';
import type { Counts, InstanceStatus, RuntimeStatus } from '../../types';
import { usePagedList } from '../../use-paged-list';
import { BatchBar } from './BatchBar';
import { ColumnMenu } from './ColumnMenu';
import { columnsOf, DEFAULT_COLUMNS } from './columns';
import { apiQuery, filterOf, isCounted } from './filter';
import { FilterBar } from './FilterBar';
import { useLive } from './live';
import { type InstanceRow, rowOf } from './row';
import { StartDialog } from './StartDialog';

const PAGE = 200;
const COUNTS_EVERY_MS = 10_000;

/** All instances, with filters that are part of the address. */
export function InstancesPage() {
  const { query } = route.value;
  const isLive = query.get('live') === '1';
  const address = new URLSearchParams([...query].filter(([key]) => key !== 'live' && key !== 'cols')).toString();
  const [loads, setLoads] = useState(0);
  const filter = useMemo(() => filterOf(query, Date.now()), [address, loads]);
  const list = usePagedList(
    async (token, signal) => {
      const page = await getPage<InstanceStatus>(
        '/instances',
        { ...apiQuery(filter), showInput: false, top: PAGE },
        token,
        signal,
      );
      return { ...page, items: page.items.map(rowOf) };
    },
    [filter],
  );
  const counts = useGet<Counts>('/counts', COUNTS_EVERY_MS);
  const live = useLive(isLive, filter, list);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [isStarting, setStarting] = useState(false);
  const chosen = query.get('cols')?.split(',') ?? DEFAULT_COLUMNS;
  const columns = useMemo(() => columnsOf(chosen), [chosen.join()]);
  const total = counts.data && isCounted(filter) ? sum(counts.data, filter.name, filter.statuses) : null;
  const canSelect = canOperate.value;

  const reload = () => setLoads(loads + 1);

  function toggle({ id }: InstanceRow): void {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    setSelected(next);
  }

  function toggleLoaded(): void {
    setSelected(selected.size > 0 ? new Set() : new Set(list.loaded().map(({ id }) => id)));
  }

  function cells(row: InstanceRow): ComponentChildren[] {
    const cells = columns.map((column) => column.cell(row));
    if (!canSelect) return cells;
    const box = (
      <input
        type="checkbox"
        tabIndex={-1}
        aria-label={`Select ${row.id}`}
        checked={selected.has(row.id)}
        onChange={() => toggle(row)}
      />
    );
    return [box, ...cells];
  }

  const shown = canSelect
    ? [
        {
          id: 'select',
          width: 30,
          header: (
            <input
              type="checkbox"
              aria-label="Select all loaded instances"
              checked={selected.size > 0}
              onChange={toggleLoaded}
            />
          ),
        },
        ...columns,
      ]
    : columns;

  return (
    <div class="fill">
      <PageHead title="Instances">
        {(live.started > 0 || live.isStale) && (
          <button type="button" onClick={reload}>
            {live.isStale ? 'Changes were missed, reload' : `${count(live.started)} new, reload`}
          </button>
        )}
        <button type="button" aria-pressed={isLive} onClick={() => setQuery({ live: isLive ? null : '1' })}>
          <span class={`status status-${live.state === 'open' ? 'completed' : 'pending'}`}>
            <span class="dot" aria-hidden="true" />
          </span>
          {live.state === 'unavailable' ? 'Not live' : 'Live'}
        </button>
        <button type="button" onClick={reload}>
          Reload
        </button>
        <ColumnMenu chosen={chosen} />
        {canSelect && (
          <button type="button" class="primary" onClick={() => setStarting(true)}>
            Start
          </button>
        )}
      </PageHead>
      <FilterBar filter={filter}>
        {canSelect && (
          <BatchBar
            selected={selected}
            filter={filter}
            matching={list.isComplete ? list.count : total}
            atLeast={list.count}
            onClear={() => setSelected(new Set())}
          />
        )}
      </FilterBar>
      <PagedTable
        list={list}
        noun="instances"
        empty="No instance matches"
        columns={shown}
        cells={cells}
        to={({ id }) => instanceHref(id)}
        total={total}
        isSelected={canSelect ? ({ id }) => selected.has(id) : undefined}
        onToggle={canSelect ? toggle : undefined}
      />
      {isStarting && <StartDialog onClose={() => setStarting(false)} />}
    </div>
  );
}

function sum(counts: Counts, name: string, statuses: readonly RuntimeStatus[]): number {
  return counts.orchestrations
    .filter(
      (row) => (name === '' || row.name === name) && (statuses.length === 0 || statuses.includes(row.runtimeStatus)),
    )
    .reduce((sum, row) => sum + row.count, 0);
}
