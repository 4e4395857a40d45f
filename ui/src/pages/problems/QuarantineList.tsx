import { EntityLink, ListPanel, ReleaseQuarantine, Time } from '../../components';
import type { Quarantined } from '../../types';
import { useList } from '../../use-list';

const EVERY_MS = 10_000;

/** Entities whose messages wait, because their state cannot be used. */
export function QuarantineList() {
  const list = useList<Quarantined>('/quarantine', {}, EVERY_MS);
  return (
    <ListPanel
      title="Quarantined entities"
      list={list}
      empty="No entity is quarantined"
      head={['Entity', 'Reason']}
      end={['Since']}
      actions
      row={({ entityId, reason, since }) => (
        <tr key={`${entityId.name} ${entityId.key}`}>
          <td>
            <EntityLink id={entityId} />
          </td>
          <td>{reason}</td>
          <td class="end">
            <Time t={since} relative />
          </td>
          <td class="actions">
            <ReleaseQuarantine id={entityId} onDone={list.reload} />
          </td>
        </tr>
      )}
    />
  );
}
