import { useId } from 'preact/hooks';
import { readJson } from '../json-input';

interface Props {
  label: string;
  text: string;
  onChange: (text: string) => void;
  hint?: string;
  rows?: number;
}

/** An input for a JSON value. An empty input stands for no value. */
export function JsonField({ label, text, onChange, hint, rows = 3 }: Props) {
  const id = useId();
  const { error } = readJson(text);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        rows={rows}
        value={text}
        spellcheck={false}
        aria-invalid={error !== null}
        aria-describedby={`${id}-hint`}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      <div class="row" id={`${id}-hint`}>
        {error === null ? (
          hint && <small>{hint}</small>
        ) : (
          <>
            <small class="bad">{error}</small>
            <span class="spacer" />
            <button type="button" class="quiet" onClick={() => onChange(JSON.stringify(text))}>
              Use as text
            </button>
          </>
        )}
      </div>
    </div>
  );
}
