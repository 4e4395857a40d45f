import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';

type Kind = 'ok' | 'error';

interface Message {
  id: number;
  text: ComponentChildren;
  kind: Kind;
}

const SHOWN_MS = 6_000;
const messages = signal<readonly Message[]>([]);
let next = 0;

/** Shows a message for some seconds. Errors stay until they are closed. */
export function toast(text: ComponentChildren, kind: Kind = 'ok'): void {
  const id = next++;
  messages.value = [...messages.value.slice(-4), { id, text, kind }];
  if (kind === 'ok') setTimeout(() => close(id), SHOWN_MS);
}

function close(id: number): void {
  messages.value = messages.value.filter((message) => message.id !== id);
}

/** The messages that are shown now. Is on every page once. */
export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite" data-test="toasts">
      {messages.value.map(({ id, text, kind }) => (
        <div key={id} class={`toast toast-${kind}`}>
          <span>{text}</span>
          <button type="button" class="quiet" aria-label="Close the message" onClick={() => close(id)}>
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
