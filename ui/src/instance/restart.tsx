import { useState } from 'preact/hooks';
import { JsonText, path, send } from '../api';
import { FormDialog, JsonField, Started, toast } from '../components';
import { hasEnded } from '../ended';
import { json } from '../format';
import { readJson } from '../json-input';
import { instanceHref, navigate } from '../router';
import type { CheckStatus, InstanceStatus } from '../types';
import type { InstanceModel } from './model';

interface Props {
  model: InstanceModel;
  status: InstanceStatus;
  onClose: () => void;
}

/** Starts the orchestration again, with the same or another input and id. */
export function RestartDialog({ model, status, onClose }: Props) {
  const original = json(status.input);
  const ended = hasEnded(status.runtimeStatus);
  const [input, setInput] = useState(original);
  const [isNew, setNew] = useState(true);

  async function restart(): Promise<void> {
    const body = input === original ? undefined : new JsonText(`{"input":${input.trim() || 'null'}}`);
    const { id } = await send<CheckStatus>('POST', path`/instances/${model.id}/restart`, body, {
      restartWithNewInstanceId: String(isNew),
    });
    onClose();
    toast(<Started id={id} />);
    if (isNew) navigate(instanceHref(id));
    else void model.refresh();
  }

  return (
    <FormDialog
      title="Restart"
      action="Restart"
      wide
      disabled={readJson(input).error !== null}
      onSubmit={restart}
      onClose={onClose}
    >
      <JsonField
        label="Input"
        hint={input === original ? 'The last input. Edit it to run with another one.' : 'Edited.'}
        text={input}
        onChange={setInput}
        rows={10}
      />
      <fieldset class="i-choice">
        <legend>Id of the new run</legend>
        <label class="check">
          <input type="radio" name="id" checked={isNew} onChange={() => setNew(true)} />
          <span>A new id. This run and its history stay.</span>
        </label>
        <label class="check">
          <input type="radio" name="id" checked={!isNew} disabled={!ended} onChange={() => setNew(false)} />
          <span>The same id. {ended ? 'It replaces this run and its history.' : 'Possible once it has ended.'}</span>
        </label>
      </fieldset>
    </FormDialog>
  );
}
