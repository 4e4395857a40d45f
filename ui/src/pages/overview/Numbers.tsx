import { get, getPage } from '../../api';
import { ErrorBox, Link, Status } from '../../components';
import { count } from '../../format';
import { href } from '../../router';
import { beginOf, RANGES } from '../../ranges';
import { useGet, useResource } from '../../resource';
import { type Counts, type Failures, type RuntimeStatus, STATUSES } from '../../types';

const COUNTS_EVERY_MS = 5_000;
const PROBLEMS_EVERY_MS = 20_000;
/** Rows that are counted. A longer list is shown as "500+". */
const MOST = 500;
const ALWAYS: readonly RuntimeStatus[] = ['Running', 'Pending', 'Completed', 'Failed'];

/** Counts by status, and the numbers that should be zero. */
export function Numbers() {
  const counts = useGet<Counts>('/counts', COUNTS_EVERY_MS);
  const problems = useResource(loadProblems, [], PROBLEMS_EVERY_MS);
  const byStatus = (status: RuntimeStatus) =>
    (counts.data?.orchestrations ?? []).reduce((sum, row) => (row.runtimeStatus === status ? sum + row.count : sum), 0);
  const shown = STATUSES.filter((status) => ALWAYS.includes(status) || byStatus(status) > 0);
  return (
    <>
      <ErrorBox error={counts.error} retry={counts.reload} />
      <div class="numbers">
        {shown.map((status) => (
          <Link key={status} to={href(['instances'], { status })} class="number">
            <b>{counts.data ? count(byStatus(status)) : '–'}</b>
            <Status status={status} />
          </Link>
        ))}
      </div>
      <div class="numbers">
        {(problems.data ?? []).map(({ label, to, value, alarm }) => (
          <Link key={label} to={to} class={alarm && /[1-9]/.test(value) ? 'number alarm' : 'number'}>
            <b>{value}</b>
            <span>{label}</span>
          </Link>
        ))}
      </div>
    </>
  );
}

interface Figure {
  label: string;
  to: string;
  value: string;
  alarm: boolean;
}

async function loadProblems(signal: AbortSignal): Promise<Figure[]> {
  const dayAgo = beginOf(RANGES[2], Date.now());
  const failures = get<Failures>('/failures', { top: 1_000, createdTimeFrom: dayAgo }, signal).then(
    ({ groups, truncated }) => `${count(groups.reduce((sum, group) => sum + group.count, 0))}${truncated ? '+' : ''}`,
  );
  const [stopped, quarantined, dead, locks, failed] = await Promise.all([
    lengthOf('/stopped', signal),
    lengthOf('/quarantine', signal),
    lengthOf('/dead-letters', signal),
    lengthOf('/locks', signal),
    failures.catch(unknown),
  ]);
  const problem = (tab: string) => href(['problems'], { tab });
  return [
    { label: 'Stopped', to: problem('stopped'), value: stopped, alarm: true },
    { label: 'Quarantined', to: problem('quarantine'), value: quarantined, alarm: true },
    { label: 'Dead letters', to: problem('dead-letters'), value: dead, alarm: true },
    { label: 'Failures in 24 h', to: problem('failures'), value: failed, alarm: true },
    { label: 'Locked entities', to: href(['locks']), value: locks, alarm: false },
  ];
}

async function lengthOf(path: string, signal: AbortSignal): Promise<string> {
  try {
    const { items, next } = await getPage<unknown>(
      path,
      { top: MOST, showInput: path === '/stopped' ? false : undefined },
      null,
      signal,
    );
    return `${count(items.length)}${next === null ? '' : '+'}`;
  } catch (error) {
    if (signal.aborted) throw error;
    return unknown();
  }
}

function unknown(): string {
  return '–';
}
