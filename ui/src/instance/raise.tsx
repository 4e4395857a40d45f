import { useMemo, useState } from 'preact/hooks';
import { JsonText, path, send } from '../api';
import { Field, FormDialog, JsonField, toast } from '../components';
import { readJson } from '../json-input';
import { uniqueText } from '../random';
import type { Waiting } from '../types';

interface Props {
  id: string;
  /** What the orchestration waits for. */
  waiting: Waiting | null;
  /** The name that is offered. */
  name?: string;
  onDone: () => void;
  onClose: () => void;
}

/** Values that are raised more often than others. */
const SAMPLES = ['true', 'false', 'null'];

/** Asks for the name and the payload of an event, and raises it. */
export function RaiseDialog({ id, waiting, name: given, onDone, onClose }: Props) {
  const steps = waiting?.steps ?? [];
  const awaited = [...new Set(steps.flatMap((step) => (step.waitsFor === 'event' ? step.name : [])))];
  const [typed, setTyped] = useState(given);
  // The report may arrive after the dialog has opened. What is offered once stays.
  if (typed === undefined && awaited[0]) setTyped(awaited[0]);
  const [payload, setPayload] = useState('');
  const name = typed?.trim() ?? '';
  // The key makes a second attempt after a lost answer harmless. Another payload is another request.
  const key = useMemo(uniqueText, [name, payload]);
  const hint =
    awaited.length === 0
      ? 'It waits for no event now. The event is kept until a step reads it.'
      : awaited.includes(name.toLowerCase())
        ? 'It waits for this event.'
        : `It waits for: ${awaited.join(', ')}`;

  async function raise(): Promise<void> {
    const body = new JsonText(payload.trim() || 'null');
    await send('POST', path`/instances/${id}/raiseEvent/${name}`, body, undefined, key);
    toast(`Event ${name} raised`);
    onClose();
    onDone();
  }

  return (
    <FormDialog
      title="Raise an event"
      action="Raise event"
      wide
      disabled={name === '' || readJson(payload).error !== null}
      onSubmit={raise}
      onClose={onClose}
    >
      <Field label="Name of the event" hint={hint}>
        <input
          value={typed}
          list="i-awaited"
          autocomplete="off"
          autofocus
          data-test="raise-name"
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </Field>
      <datalist id="i-awaited">
        {awaited.map((one) => (
          <option key={one} value={one} />
        ))}
      </datalist>
      <JsonField
        label="Payload"
        hint={'JSON, such as {"by": "alice"}. Empty means null.'}
        text={payload}
        onChange={setPayload}
      />
      <p class="row">
        {SAMPLES.map((sample) => (
          <button type="button" key={sample} onClick={() => setPayload(sample)}>
            {sample}
          </button>
        ))}
      </p>
    </FormDialog>
  );
}
