import { useMemo, useState } from 'preact/hooks';
import { path, send } from '../../api';
import { ChoiceField, FormDialog, JsonField, Started, TextField, toast } from '../../components';
import { readJson } from '../../json-input';
import { uniqueText } from '../../random';
import { instanceHref, navigate } from '../../router';
import { hub } from '../../store';
import type { CheckStatus } from '../../types';

/** Starts a new orchestration. */
export function StartDialog({ onClose }: { onClose: () => void }) {
  const types = hub.value?.orchestrations ?? [];
  const [chosen, setChosen] = useState(types[0]?.name ?? '');
  const [input, setInput] = useState('');
  // The key stays the same until the dialog closes, so that a second attempt starts nothing twice.
  const key = useMemo(uniqueText, []);
  const versions = types.find(({ name }) => name === chosen)?.versions.filter(Boolean) ?? [];
  const json = readJson(input);

  async function start(data: FormData): Promise<void> {
    const text = (name: string) => String(data.get(name) ?? '').trim();
    const id = text('id');
    const of = id === '' ? path`/orchestrators/${text('type')}` : path`/orchestrators/${text('type')}/${id}`;
    const { id: started } = await send<CheckStatus>('POST', of, json.value, { version: text('version') }, text('key'));
    toast(<Started id={started} />);
    navigate(instanceHref(started));
  }

  return (
    <FormDialog
      title="Start an orchestration"
      action="Start"
      wide
      disabled={json.error !== null}
      onSubmit={start}
      onClose={onClose}
    >
      <div class="fields">
        <ChoiceField label="Type" name="type" options={types.map(({ name }) => [name, name])} onChange={setChosen} />
        <ChoiceField
          label="Version"
          name="version"
          options={[['', 'Newest'], ...versions.map((version) => [version, version] as const)]}
        />
        <TextField label="Id" name="id" hint="Empty: a random id." />
        <TextField label="Idempotency key" name="key" defaultValue={key} hint="The same key starts nothing twice." />
      </div>
      <JsonField label="Input (JSON)" text={input} onChange={setInput} rows={6} hint="Empty means null." />
    </FormDialog>
  );
}
