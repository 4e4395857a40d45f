import { useMemo, useState } from 'preact/hooks';
import { copy } from '../clipboard';
import { download } from '../download';
import { bytes, json } from '../format';

/** Length of a folded text. A browser is slow with texts of megabytes. */
const FOLDED = 20_000;

/** Length of a text that is shown in one line. */
const SHORT = 60;

interface Props {
  value: unknown;
  /** Name of the payload, for its buttons and the downloaded file. */
  label: string;
  /** Height in lines beyond which it is folded (default: 12). */
  lines?: number;
}

/** A payload of the program as text. */
export function Payload({ value, label, lines = 12 }: Props) {
  const text = useMemo(() => textOf(value), [value]);
  const [isOpen, setOpen] = useState(false);
  if (value === undefined || text === '') return <span class="muted">none</span>;
  const isLong = text.length > FOLDED || text.split('\n', lines + 1).length > lines || text.length > lines * 120;
  const isScalar = !text.includes('\n') && text.length < SHORT;
  return (
    <div class={isScalar ? 'payload payload-short' : 'payload'} data-test="payload">
      <pre
        class={isLong && !isOpen ? 'folded' : undefined}
        tabIndex={isLong ? 0 : undefined}
        role={isLong ? 'region' : undefined}
        aria-label={isLong ? label : undefined}
      >
        {isOpen ? text : text.slice(0, FOLDED)}
      </pre>
      <div class="payload-actions">
        {isLong && (
          <button type="button" class="quiet" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {isOpen ? 'Fold' : `Unfold ${bytes(text.length)}`}
          </button>
        )}
        <button type="button" class="quiet" aria-label={`Copy ${label}`} onClick={() => copy(text)}>
          Copy
        </button>
        {!isScalar && (
          <button
            type="button"
            class="quiet"
            aria-label={`Download ${label}`}
            onClick={() => download(text, `${label}.json`)}
          >
            Download
          </button>
        )}
      </div>
    </div>
  );
}

/** Returns JSON over several lines, unless it fits into one. */
function textOf(value: unknown): string {
  const line = JSON.stringify(value) ?? '';
  return line.length < SHORT ? line : json(value);
}
