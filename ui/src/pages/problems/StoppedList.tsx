import { path, send } from '../../api';
import { Action, InstanceLink, ListPanel, Time } from '../../components';
import { words } from '../../format';
import type { InstanceStatus } from '../../types';
import { useList } from '../../use-list';
import { BatchAction } from '../batches/BatchAction';

const EVERY_MS = 10_000;

/** Orchestrations that have not ended and cannot continue. */
export function StoppedList() {
  const list = useList<InstanceStatus>('/stopped', { showInput: false }, EVERY_MS);
  return (
    <ListPanel
      title="Stopped orchestrations"
      list={list}
      empty="No orchestration is stopped"
      buttons={
        <BatchAction
          label="Resume all"
          title="Resume all stopped orchestrations?"
          confirm="Each one is tried again. If that fails, it stops again."
          request={{ action: 'resume', filter: { stopped: true } }}
        />
      }
      head={['Instance', 'Type', 'Reason']}
      end={['Changed']}
      actions
      row={({ instanceId, name, stopped, lastUpdatedTime }) => (
        <tr key={instanceId}>
          <td>
            <InstanceLink id={instanceId} />
          </td>
          <td>{name}</td>
          <td>
            <strong class="bad">{words(stopped?.kind ?? '')}</strong>
            <div>{stopped?.message}</div>
          </td>
          <td class="end">
            <Time t={lastUpdatedTime} relative />
          </td>
          <td class="actions">
            <Action label="Resume" run={() => send('POST', path`/instances/${instanceId}/resume`).then(list.reload)} />
          </td>
        </tr>
      )}
    />
  );
}
