import { entitySegments, send } from '../api';
import type { EntityId } from '../types';
import { Action } from './Action';

interface Props {
  id: EntityId;
  /** Called after the release. */
  onDone: () => void;
}

/** Releases the lock of an entity by force. */
export function ReleaseLock({ id: { name, key }, onDone }: Props) {
  return (
    <Action
      label="Release lock"
      danger
      title={`Release the lock of ${name} ${key} by force?`}
      confirm="Only if its owner will never continue: others may then change the entity in the middle of its critical section, and its further calls fail."
      run={() => send('DELETE', `/locks/${entitySegments(name, key)}`).then(onDone)}
    />
  );
}

/** Releases an entity from quarantine. */
export function ReleaseQuarantine({ id: { name, key }, onDone }: Props) {
  return (
    <Action
      label="Release"
      title={`Release ${name} ${key} from quarantine?`}
      confirm="Its messages are processed again. If that fails, it is quarantined again."
      run={() => send('POST', `/quarantine/${entitySegments(name, key)}/release`).then(onDone)}
    />
  );
}
