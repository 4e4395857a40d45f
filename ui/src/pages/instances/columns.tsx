import type { ComponentChildren } from 'preact';
import { type Column, InstanceLink, Link, Status, Time } from '../../components';
import { hasEnded } from '../../ended';
import { duration, words } from '../../format';
import { instanceHref } from '../../router';
import { now } from '../../store';
import { instant } from '../../text';
import type { InstanceRow } from './row';

interface InstanceColumn extends Omit<Column, 'header'> {
  cell: (row: InstanceRow) => ComponentChildren;
}

const ALL: readonly InstanceColumn[] = [
  {
    id: 'id',
    width: 200,
    grow: 2,
    cell: (row) => (
      <Link to={instanceHref(row.id)} class="id" title={row.id} tabIndex={-1}>
        {row.id}
      </Link>
    ),
  },
  { id: 'type', width: 120, grow: 1.2, cell: (row) => row.name },
  {
    id: 'status',
    width: 132,
    cell: (row) => (
      <span title={row.stopped ?? undefined}>
        <Status status={row.status} stopped={row.stopped !== null} />
      </span>
    ),
  },
  { id: 'created', width: 164, cell: (row) => <Time t={row.created} /> },
  { id: 'changed', width: 92, cell: (row) => <Time t={row.updated} relative /> },
  { id: 'duration', width: 92, cell: elapsed },
  { id: 'customStatus', width: 120, grow: 1.2, cell: (row) => text(row.customStatus) },
  { id: 'outputOrError', width: 120, grow: 1.2, cell: (row) => text(row.output) },
  {
    id: 'tags',
    width: 120,
    grow: 1,
    cell: (row) =>
      row.tags.map(([key, value]) => (
        <span class="tag" key={key} title={`${key}=${value}`}>
          {key}={value}
        </span>
      )),
  },
  { id: 'version', width: 80, cell: (row) => row.version },
  {
    id: 'parent',
    width: 120,
    grow: 1,
    cell: (row) => row.parent && <InstanceLink id={row.parent} tabIndex={-1} />,
  },
];

/** Columns that can be chosen. The id is always shown. */
export const CHOICES = ALL.slice(1).map(({ id }) => id);
export const DEFAULT_COLUMNS = ['type', 'status', 'created', 'changed', 'customStatus', 'outputOrError'];

export function columnsOf(chosen: readonly string[]): (Column & Pick<InstanceColumn, 'cell'>)[] {
  return ALL.filter(({ id }) => id === 'id' || chosen.includes(id)).map((column) => ({
    ...column,
    header: words(column.id),
  }));
}

function text(value: string): ComponentChildren {
  return value && <span title={value}>{value}</span>;
}

function elapsed(row: InstanceRow): string {
  const end = hasEnded(row.status) ? instant(row.updated) : now.value;
  return duration(end - instant(row.created));
}
