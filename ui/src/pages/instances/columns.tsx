import type { ComponentChildren } from 'preact';
import { type Column, InstanceLink, Link, Status, Time } from '../../components';
import { duration } from '../../format';
import { instanceHref } from '../../router';
import { now } from '../../store';
import { instant } from '../../text';
import type { InstanceRow } from './row';

interface InstanceColumn extends Omit<Column, 'header'> {
  label: string;
  cell: (row: InstanceRow) => ComponentChildren;
}

const ENDED = new Set(['Completed', 'Failed', 'Terminated', 'Canceled']);

const ALL: readonly InstanceColumn[] = [
  {
    id: 'id',
    label: 'Id',
    width: 200, grow: 2,
    cell: (row) => (
      <Link to={instanceHref(row.id)} class="id" title={row.id} tabIndex={-1}>
        {row.id}
      </Link>
    ),
  },
  { id: 'name', label: 'Type', width: 120, grow: 1.2, cell: (row) => row.name },
  {
    id: 'status',
    label: 'Status',
    width: 132,
    cell: (row) => (
      <span title={row.stopped ?? undefined}>
        <Status status={row.status} stopped={row.stopped !== null} />
      </span>
    ),
  },
  { id: 'created', label: 'Created', width: 164, cell: (row) => <Time t={row.created} /> },
  { id: 'updated', label: 'Changed', width: 92, cell: (row) => <Time t={row.updated} relative /> },
  { id: 'duration', label: 'Duration', width: 92, cell: elapsed },
  { id: 'customStatus', label: 'Custom status', width: 120, grow: 1.2, cell: (row) => text(row.customStatus) },
  { id: 'output', label: 'Output or error', width: 120, grow: 1.2, cell: (row) => text(row.output) },
  {
    id: 'tags',
    label: 'Tags',
    width: 120, grow: 1,
    cell: (row) =>
      row.tags.map(([key, value]) => (
        <span class="tag" key={key} title={`${key}=${value}`}>
          {key}={value}
        </span>
      )),
  },
  { id: 'version', label: 'Version', width: 80, cell: (row) => row.version },
  {
    id: 'parent',
    label: 'Parent',
    width: 120, grow: 1,
    cell: (row) => row.parent && <InstanceLink id={row.parent} tabIndex={-1} />,
  },
];

/** Columns that can be chosen. The id is always shown. */
export const CHOICES = ALL.slice(1).map(({ id, label }) => ({ id, label }));
export const DEFAULT_COLUMNS = ['name', 'status', 'created', 'updated', 'customStatus', 'output'];

export function columnsOf(chosen: readonly string[]): (Column & Pick<InstanceColumn, 'cell'>)[] {
  return ALL.filter(({ id }) => id === 'id' || chosen.includes(id)).map((column) => ({ ...column, header: column.label }));
}

function text(value: string): ComponentChildren {
  return value && <span title={value}>{value}</span>;
}

function elapsed(row: InstanceRow): string {
  const end = ENDED.has(row.status) ? instant(row.updated) : now.value;
  return duration(end - instant(row.created));
}
