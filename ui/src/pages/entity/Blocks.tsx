import { InstanceLink, ReleaseLock, ReleaseQuarantine, Time } from '../../components';
import type { EntityDetails } from '../../types';

interface Props {
  details: EntityDetails;
  reload: () => void;
}

/** What keeps the entity from processing its messages: a lock or a quarantine. */
export function Blocks({ details: { entityId, lock, quarantine }, reload }: Props) {
  return (
    <>
      {quarantine && (
        <div class="notice warning">
          <div>
            <strong>Quarantined</strong> since <Time t={quarantine.since} />: {quarantine.reason}
          </div>
          <ReleaseQuarantine id={entityId} onDone={reload} />
        </div>
      )}
      {lock && (
        <div class="notice">
          <div>
            <strong>Locked</strong> by <InstanceLink id={lock.owner} /> since <Time t={lock.since} />
          </div>
          <ReleaseLock id={entityId} onDone={reload} />
        </div>
      )}
    </>
  );
}
