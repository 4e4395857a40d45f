import { path } from '../../api';
import { BATCH_EFFECTS } from '../../batch';
import { ErrorBox, InstanceLink, Link, Panel, Status, Table, Time } from '../../components';
import { count } from '../../format';
import { useGet } from '../../resource';
import { href } from '../../router';
import type { Batch } from '../../types';
import { Progress } from './BatchRow';

const EVERY_MS = 4_000;

/** One batch with its errors. */
export function BatchReport({ id }: { id: string }) {
  const { data, error, reload } = useGet<Batch>(path`/batches/${id}`, EVERY_MS);
  return (
    <Panel
      title={data ? `${BATCH_EFFECTS[data.action]?.label ?? data.action} of ${count(data.matched)} instances` : 'Batch'}
      head={<Link to={href(['batches'])}>Close</Link>}
    >
      <ErrorBox error={error} retry={reload} />
      {data && (
        <div class="panel-body">
          <Progress batch={data} />
          <dl class="facts">
            <dt>State</dt>
            <dd>
              <Status status={data.state} /> {data.message}
            </dd>
            <dt>Done</dt>
            <dd>{count(data.succeeded)}</dd>
            <dt>Skipped</dt>
            <dd>
              {count(data.skipped)} <span class="muted">whose state did not allow the action</span>
            </dd>
            <dt>Failed</dt>
            <dd>{count(data.failed)}</dd>
            <dt>Time</dt>
            <dd>
              <Time t={data.startedAt} /> to {data.endedAt ? <Time t={data.endedAt} /> : 'now'}
            </dd>
          </dl>
        </div>
      )}
      {data && data.errors.length > 0 && (
        <>
          <Table head={['Instance', 'Error']}>
            {data.errors.map(({ instanceId, message }) => (
              <tr key={instanceId}>
                <td>
                  <InstanceLink id={instanceId} />
                </td>
                <td>{message}</td>
              </tr>
            ))}
          </Table>
          {data.failed > data.errors.length && (
            <p class="panel-body muted">and {count(data.failed - data.errors.length)} more</p>
          )}
        </>
      )}
    </Panel>
  );
}
