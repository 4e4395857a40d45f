import { path, send } from '../../api';
import { Action, EntityLink, InstanceLink, ListPanel, Payload, Time } from '../../components';
import type { DeadLetter } from '../../types';
import { useList } from '../../use-list';

const EVERY_MS = 10_000;

/** Messages that could not be processed. */
export function DeadLetters() {
  const list = useList<DeadLetter>('/dead-letters', {}, EVERY_MS);
  return (
    <ListPanel
      title="Dead letters"
      list={list}
      empty="There are no dead letters"
      head={['Target', 'Operation', 'Reason', 'Input']}
      end={['Time']}
      actions
      row={({ id, entityId, instanceId, operation, reason, input, source, deadLetteredAt }) => (
        <tr key={id}>
          <td>{entityId ? <EntityLink id={entityId} /> : instanceId && <InstanceLink id={instanceId} />}</td>
          <td>
            {operation}
            {source && (
              <div class="muted">
                from <InstanceLink id={source} />
              </div>
            )}
          </td>
          <td>{reason}</td>
          <td>
            <Payload value={input} label={`Input of ${id}`} lines={3} />
          </td>
          <td class="end">
            <Time t={deadLetteredAt} relative />
          </td>
          <td class="actions">
            <Action
              label="Redeliver"
              title="Deliver the message again?"
              confirm="It is processed again. If that fails, it becomes a dead letter again."
              run={() => send('POST', path`/dead-letters/${id}/redeliver`).then(list.reload)}
            />
            <Action
              label="Drop"
              danger
              title="Drop the message?"
              confirm="It is deleted. This cannot be undone."
              run={() => send('DELETE', path`/dead-letters/${id}`).then(list.reload)}
            />
          </td>
        </tr>
      )}
    />
  );
}
