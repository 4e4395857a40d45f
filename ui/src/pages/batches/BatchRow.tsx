import { path, send } from '../../api';
import { BATCH_EFFECTS } from '../../batch';
import { Action, Link, Status, Time } from '../../components';
import { count, duration } from '../../format';
import { href } from '../../router';
import { now } from '../../store';
import { instant } from '../../text';
import type { Batch } from '../../types';

export function BatchRow({ batch, reload }: { batch: Batch; reload: () => void }) {
  const { id, action, state, matched, failed, startedAt, endedAt } = batch;
  return (
    <tr>
      <td>
        <Link to={href(['batches'], { id })} title={id}>
          {BATCH_EFFECTS[action]?.label ?? action}
        </Link>
      </td>
      <td>
        <Status status={state} />
      </td>
      <td>
        <Progress batch={batch} />
      </td>
      <td class="end">{count(matched)}</td>
      <td class={failed > 0 ? 'end bad' : 'end'}>{count(failed)}</td>
      <td class="end">
        <Time t={startedAt} relative />
      </td>
      <td class="end">{duration((endedAt ? instant(endedAt) : now.value) - instant(startedAt))}</td>
      <td class="actions">
        {state === 'running' && (
          <Action
            label="Cancel batch"
            danger
            title="Cancel the batch?"
            confirm="What is done stays done."
            run={async () => {
              await send('DELETE', path`/batches/${id}`);
              reload();
              return 'The batch is canceled';
            }}
          />
        )}
      </td>
    </tr>
  );
}

/** The parts of a batch that are done, as a bar. */
export function Progress({ batch: { matched, succeeded, skipped, failed } }: { batch: Batch }) {
  const whole = Math.max(1, matched);
  const text = `${count(succeeded)} done, ${count(skipped)} skipped, ${count(failed)} failed of ${count(matched)}`;
  const part = (n: number) => ({ width: `${(n / whole) * 100}%` });
  return (
    <div class="bar" role="img" aria-label={text} title={text}>
      <span class="fill-completed" style={part(succeeded)} />
      <span class="fill-skipped" style={part(skipped)} />
      <span class="fill-failed" style={part(failed)} />
    </div>
  );
}
