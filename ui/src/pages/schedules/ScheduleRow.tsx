import { path, send } from '../../api';
import { Action, Link, Started, Time } from '../../components';
import { count, duration } from '../../format';
import { href, instanceHref } from '../../router';
import { canOperate } from '../../store';
import type { Schedule } from '../../types';

interface Props {
  schedule: Schedule;
  reload: () => void;
  onEdit: () => void;
}

export function ScheduleRow({ schedule, reload, onEdit }: Props) {
  const { id, orchestration, version, paused, nextRun, lastRun, lastInstanceId, runs } = schedule;

  async function act(method: string, of: string, done: string): Promise<string> {
    await send(method, of);
    reload();
    return done;
  }

  return (
    <tr>
      <td class="id">{id}</td>
      <td>
        <Link to={href(['instances'], { name: orchestration })}>{orchestration}</Link>{' '}
        {version && <span class="muted">version {version}</span>}
      </td>
      <td>
        <code>{recurrence(schedule)}</code>
      </td>
      <td>
        {paused ? (
          <span class="badge warn">Paused</span>
        ) : (
          <>
            <Time t={nextRun} />{' '}
            {nextRun && (
              <span class="muted">
                <Time t={nextRun} relative />
              </span>
            )}
          </>
        )}
      </td>
      <td>
        {lastInstanceId ? (
          <Link to={instanceHref(lastInstanceId)} title={lastInstanceId}>
            <Time t={lastRun} />
          </Link>
        ) : (
          <Time t={lastRun} />
        )}
      </td>
      <td class="end">{count(runs)}</td>
      <td class="actions">
        <Action
          label="Trigger"
          title={`Run ${id} now?`}
          confirm="Starts the orchestration once more."
          run={async () => {
            const run = await send<{ id: string }>('POST', path`/schedules/${id}/trigger`);
            reload();
            return <Started id={run.id} />;
          }}
        />
        {paused ? (
          <Action label="Resume" run={() => act('POST', path`/schedules/${id}/resume`, `${id} is resumed`)} />
        ) : (
          <Action label="Pause" run={() => act('POST', path`/schedules/${id}/pause`, `${id} is paused`)} />
        )}
        {canOperate.value && (
          <button type="button" onClick={onEdit}>
            Edit
          </button>
        )}
        <Action
          label="Delete"
          danger
          title={`Delete the schedule ${id}?`}
          confirm="Instances that it has started continue."
          run={() => act('DELETE', path`/schedules/${id}`, `${id} is deleted`)}
        />
      </td>
    </tr>
  );
}

function recurrence({ cron, everySeconds }: Schedule): string {
  return cron ?? (everySeconds != null ? `every ${duration(everySeconds * 1_000)}` : '–');
}
