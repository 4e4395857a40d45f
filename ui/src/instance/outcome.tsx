import { hasEnded } from '../ended';
import { setQuery } from '../router';
import { FailureBox } from './failure';
import type { InstanceModel } from './model';

/** How the orchestration ended, unless it completed. */
export function Outcome({ model }: { model: InstanceModel }) {
  const status = model.status.value;
  if (!status || !hasEnded(status.runtimeStatus) || status.runtimeStatus === 'Completed') return null;
  model.version.value;
  const { failure, runtimeStatus } = status;
  const at = model.history.events.findIndex((event) => event.event === 'StepFailed');
  const end = model.history.events[model.history.events.length - 1];
  return (
    <section class="panel i-why i-why-bad" aria-labelledby="i-outcome" data-test="outcome">
      <h2 id="i-outcome">{runtimeStatus === 'Failed' ? 'Why did it fail?' : `It was ${runtimeStatus.toLowerCase()}`}</h2>
      {failure && <FailureBox failure={failure} />}
      {end?.event === 'ExecutionTerminated' && (
        <p>
          {end.byParent ? 'Its parent no longer needed it.' : 'A client terminated it.'}
          {end.reason && ` Reason: ${end.reason}`}
        </p>
      )}
      {at >= 0 && (
        <button type="button" onClick={() => setQuery({ tab: 'history', event: at }, false)}>
          Show the first failed step
        </button>
      )}
    </section>
  );
}
