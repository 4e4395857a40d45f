import { useState } from 'preact/hooks';
import { get, path } from '../api';
import { ErrorBox } from '../components';
import { stopReason } from './reasons';
import type { ReplayOutcome } from './types';

/** A button that runs the history through the code of this build, and explains the result. */
export function ReplayCheck({ id }: { id: string }) {
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<ReplayOutcome | null>(null);
  const [error, setError] = useState<Error | null>(null);
  async function check(): Promise<void> {
    setBusy(true);
    setError(null);
    setOutcome(null);
    try {
      setOutcome((await get<{ replay: ReplayOutcome }>(path`/instances/${id}/replay`)).replay);
    } catch (failure) {
      setError(failure as Error);
    }
    setBusy(false);
  }
  return (
    <div>
      <button type="button" disabled={busy} onClick={check} data-test="check-replay">
        {busy ? 'Checking…' : 'Check replay'}
      </button>
      <span class="muted"> Runs the history through the code of this build. Changes nothing.</span>
      <div role="status">{outcome && <Outcome {...outcome} />}</div>
      <ErrorBox error={error} feature="a check of the replay" />
    </div>
  );
}

function Outcome({ result, kind = '', message = '' }: ReplayOutcome) {
  if (result === 'matches') {
    return (
      <p class="i-notice i-good">
        <strong>It replays.</strong> This build makes the same requests in the same order, so it can continue.
      </p>
    );
  }
  if (result === 'noCode') return <p class="i-notice">The hub is not running, so its code is unknown.</p>;
  const { what, wayOut } = stopReason(kind);
  return (
    <div class="i-notice i-bad">
      <p>
        <strong>It does not replay.</strong> {what} {wayOut}
      </p>
      <pre class="i-stack">{message}</pre>
    </div>
  );
}
