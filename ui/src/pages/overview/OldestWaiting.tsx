import { get, getPage, path } from '../../api';
import { Empty, ErrorBox, InstanceLink, Panel, Table, Time } from '../../components';
import { count } from '../../format';
import type { Part } from '../../instance/reasons';
import { Sentence } from '../../instance/sentence';
import { useResource } from '../../resource';
import type { InstanceStatus, Waiting } from '../../types';
import { why as whyOf } from '../../why';

const EVERY_MS = 20_000;
/** Running instances that are searched for the oldest. The API returns them in no order of time. */
const SEARCHED = 1_000;
const SHOWN = 8;

interface Oldest {
  rows: { id: string; name: string; since: string; why: Part[] }[];
  /** True if more instances are running than were searched. */
  isPartial: boolean;
}

/** The running instances that were started first, and what they wait for. */
export function OldestWaiting() {
  const { data, error, reload } = useResource(load, [], EVERY_MS);
  return (
    <Panel
      title="Waiting longest"
      head={data?.isPartial && <span class="muted">among {count(SEARCHED)} running instances</span>}
    >
      <ErrorBox error={error} retry={reload} />
      {data?.rows.length === 0 && <Empty title="No instance is running" />}
      {data && data.rows.length > 0 && (
        <Table head={['Instance', 'Waits for']} end={['Started']}>
          {data.rows.map(({ id, name, since, why }) => (
            <tr key={id}>
              <td>
                <InstanceLink id={id} /> <span class="muted">{name}</span>
              </td>
              <td>
                <Sentence parts={why} />
              </td>
              <td class="end">
                <Time t={since} relative />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}

async function load(signal: AbortSignal): Promise<Oldest> {
  const query = { runtimeStatus: 'Running', showInput: false, top: SEARCHED };
  const { items, next } = await getPage<InstanceStatus>('/instances', query, null, signal);
  const oldest = items.toSorted((a, b) => Date.parse(a.createdTime) - Date.parse(b.createdTime)).slice(0, SHOWN);
  const rows = [];
  for (const { instanceId: id, name, createdTime: since } of oldest) {
    // One after the other: the oldest instances are not worth a burst of requests.
    const waiting = await get<Waiting>(path`/instances/${id}/waiting`, {}, signal).catch(() => null);
    if (signal.aborted) break;
    rows.push({ id, name, since, why: waiting ? whyOf(waiting) : [] });
  }
  return { rows, isPartial: next !== null };
}
