import { Empty, ErrorBox, Link, PageHead, Panel, Table } from '../../components';
import { count } from '../../format';
import { useGet } from '../../resource';
import { href, route } from '../../router';
import type { Activities, ActivityLine } from '../../types';
import { useEvents } from '../../use-changes';
import { Attempts } from './Attempts';
import { SlotBar } from './SlotBar';

const EVERY_MS = 5_000;

/** Slots of activities, and the lines in front of them. */
export function ActivitiesPage() {
  // The state of an attempt changes also without a turn, such as at the end of a pause.
  useEvents({ kinds: 'turn' });
  const { data, error, reload } = useGet<Activities>('/activities', EVERY_MS);
  const chosen = route.value.query.get('name');
  return (
    <>
      <PageHead title="Activities" />
      <ErrorBox error={error} retry={reload} />
      {data && (
        <>
          <Panel
            title="All activities"
            head={
              <span class="muted">
                {data.truncated && 'At least '}
                {count(data.running)} running{data.limit !== null && ` of at most ${count(data.limit)}`},{' '}
                {count(data.waiting)} waiting
              </span>
            }
          >
            <div class="panel-body">
              <SlotBar line={data} label="All activities" />
            </div>
            {data.activities.length === 0 ? (
              <Empty title="No activity is registered or requested" />
            ) : (
              <Lines lines={data.activities} chosen={chosen} />
            )}
          </Panel>
          {chosen !== null && <Attempts key={chosen} name={chosen} />}
        </>
      )}
    </>
  );
}

function Lines({ lines, chosen }: { lines: readonly ActivityLine[]; chosen: string | null }) {
  return (
    <Table head={['Activity', 'Slots']} end={['Running', 'Waiting', 'Limit', 'Crashed']}>
      {lines.map((line) => (
        <tr key={line.name} aria-current={line.name === chosen || undefined}>
          <td>
            <Link to={href(['activities'], { name: line.name })} class="id">
              {line.name}
            </Link>{' '}
            {!line.registered && (
              <span class="badge warn" title="This program does not register it.">
                Not registered
              </span>
            )}
          </td>
          <td>
            <SlotBar line={line} label={line.name} />
          </td>
          <td class="end">{count(line.running)}</td>
          <td class="end">{count(line.waiting)}</td>
          <td class="end">{line.limit === null ? <span class="muted">shared</span> : count(line.limit)}</td>
          <td class={line.crashed > 0 ? 'end bad' : 'end'}>{count(line.crashed)}</td>
        </tr>
      ))}
    </Table>
  );
}
