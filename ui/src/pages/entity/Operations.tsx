import { useState } from 'preact/hooks';
import { entitySegments, send } from '../../api';
import { Field, JsonField, Panel, Payload, toast } from '../../components';
import { hub } from '../../store';
import { argumentsOf } from './arguments';

interface Props {
  name: string;
  entityKey: string;
  onDone: () => void;
}

type Answer = { value: unknown } | { error: string };

/** Signals or calls an operation. */
export function Operations({ name, entityKey, onDone }: Props) {
  const operations = hub.value?.entities.find((type) => type.name === name)?.operations ?? [];
  const [chosen, setChosen] = useState(operations[0]?.name ?? '');
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [isBusy, setBusy] = useState(false);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const parameters = operations.find(({ name }) => name === chosen)?.parameters ?? [];
  const { body, error } = argumentsOf(parameters, texts);
  const isReady = !isBusy && error === null && chosen !== '';

  async function ask(wait: boolean): Promise<void> {
    setBusy(true);
    setAnswer(null);
    try {
      const path = `/entities/${entitySegments(name, entityKey)}`;
      const value = await send('POST', path, body, { op: chosen, wait: wait || undefined });
      if (wait) setAnswer({ value: value ?? null });
      else toast(`The signal ${chosen} is durable`);
    } catch (error) {
      setAnswer({ error: (error as Error).message });
    }
    setBusy(false);
    onDone();
  }

  return (
    <Panel title="Operations">
      <form
        class="panel-body"
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) void ask(true);
        }}
      >
        <Field label="Operation">
          <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
            {operations.map(({ name, parameters }) => (
              <option key={name} value={name}>
                {name}({parameters.join(', ')})
              </option>
            ))}
          </select>
        </Field>
        {parameters.map((parameter) => (
          <JsonField
            key={parameter}
            label={`${parameter} (JSON)`}
            text={texts[parameter] ?? ''}
            onChange={(text) => setTexts({ ...texts, [parameter]: text })}
            hint="Empty means null."
            rows={2}
          />
        ))}
        <div class="row">
          <button type="submit" class="primary" disabled={!isReady}>
            Call
          </button>
          <button type="button" disabled={!isReady} onClick={() => ask(false)}>
            Signal
          </button>
          <span class="muted">A call waits for the answer, a signal does not.</span>
        </div>
        <div class="answer" aria-live="polite" data-test="answer">
          {answer && 'error' in answer && <p class="bad">{answer.error}</p>}
          {answer && 'value' in answer && <Payload value={answer.value} label="Answer" />}
        </div>
      </form>
    </Panel>
  );
}
