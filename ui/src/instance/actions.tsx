import { useRef, useState } from 'preact/hooks';
import { path, send } from '../api';
import { Action } from '../components';
import { href, navigate } from '../router';
import { canOperate } from '../store';
import type { InstanceStatus } from '../types';
import { type InstanceModel, isLive } from './model';
import { RaiseDialog } from './raise';
import { RestartDialog } from './restart';

interface Props {
  model: InstanceModel;
  status: InstanceStatus;
}

/** The actions that the status of the orchestration allows. */
export function Actions({ model, status }: Props) {
  const [dialog, setDialog] = useState<'raise' | 'restart' | null>(null);
  const reason = useRef<HTMLInputElement>(null);
  if (!canOperate.value) return null;
  const { id } = model;
  const live = isLive(model);
  const isSuspended = status.runtimeStatus === 'Suspended';
  const close = () => setDialog(null);

  async function purge(): Promise<void> {
    await send('DELETE', path`/instances/${id}`);
    navigate(href(['instances']));
  }

  /** An action that has a reason. Its label is the name of its route. */
  const change = (label: string, text: string, danger = false) => (
    <Action
      label={label}
      danger={danger}
      confirm={
        <>
          <p>{text}</p>
          <label class="field">
            <span>Reason (optional)</span>
            <input ref={reason} autocomplete="off" />
          </label>
        </>
      }
      run={async () => {
        const query = { reason: reason.current?.value };
        await send('POST', path`/instances/${id}/${label.toLowerCase()}`, undefined, query);
        await model.refresh();
      }}
    />
  );

  return (
    <div class="row i-actions">
      {live && (
        <button type="button" onClick={() => setDialog('raise')}>
          Raise event
        </button>
      )}
      {live && !isSuspended && change('Suspend', 'It pauses until it is resumed. Activities that run are finished, and everything else waits in order.')}
      {live && (isSuspended || status.stopped) && change('Resume', 'It continues with what has arrived meanwhile.')}
      {status.runtimeStatus === 'Failed' &&
        change('Rewind', 'It resumes from before its first failure. Steps that completed keep their results, and steps that failed run again.')}
      <button type="button" onClick={() => setDialog('restart')}>
        Restart
      </button>
      {live && change('Terminate', 'It ends at once, and so do the sub-orchestrations that it waits for. This cannot be undone.', true)}
      {!live && (
        <Action
          label="Purge"
          danger
          confirm={<p>The hub forgets it with its history, input and output. This cannot be undone.</p>}
          run={purge}
        />
      )}
      {dialog === 'raise' && (
        <RaiseDialog id={id} waiting={model.waiting.value} onDone={() => void model.refresh()} onClose={close} />
      )}
      {dialog === 'restart' && <RestartDialog model={model} status={status} onClose={close} />}
    </div>
  );
}
