import { EntityLink, InstanceLink, ListPanel, PageHead, ReleaseLock, Time } from '../../components';
import type { Lock } from '../../types';
import { useChanges } from '../../use-changes';
import { useList } from '../../use-list';
import { WaitGraph } from './WaitGraph';

const EVERY_MS = 5_000;

/** Locked entities, who holds them and who waits for them. */
export function LocksPage() {
  useChanges({ kinds: 'turn,entity' });
  const list = useList<Lock>('/locks', {}, EVERY_MS);
  return (
    <>
      <PageHead title="Locks" />
      {list.items.length > 0 && <WaitGraph locks={list.items} />}
      <ListPanel
        title="Locked entities"
        list={list}
        empty="No entity is locked"
        about="A critical section of an orchestration locks the entities that it changes together."
        head={['Entity', 'Owner']}
        end={['Since']}
        actions
        row={({ entityId, owner, since }) => (
          <tr key={`${entityId.name} ${entityId.key}`}>
            <td>
              <EntityLink id={entityId} />
            </td>
            <td>
              <InstanceLink id={owner} />
            </td>
            <td class="end">
              <Time t={since} relative />
            </td>
            <td class="actions">
              <ReleaseLock id={entityId} onDone={list.reload} />
            </td>
          </tr>
        )}
      />
    </>
  );
}
