import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { canOperate } from '../store';
import { Confirm } from './Confirm';
import { toast } from './Toast';

interface Props {
  label: string;
  /** Sends the request. May return the message that is shown afterward. */
  run: () => Promise<ComponentChildren | void>;
  /** The question before it. Without it, the action starts at once. */
  confirm?: ComponentChildren;
  title?: string;
  danger?: boolean;
  class?: string;
  disabled?: boolean;
  /** Message after success, if `run` returns none. */
  done?: string;
}

/** A button that changes something: asks first, then shows the result. Hidden from users who may only read. */
export function Action({ label, run, confirm, title = label, danger, disabled, done, ...rest }: Props) {
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  if (!canOperate.value) return null;

  async function start(): Promise<void> {
    toast((await run()) ?? done ?? `${label}: done`);
    setAsking(false);
  }

  async function click(): Promise<void> {
    if (confirm !== undefined) {
      setAsking(true);
      return;
    }
    setBusy(true);
    await start().catch((error: Error) => toast(`${label}: ${error.message}`, 'error'));
    setBusy(false);
  }

  return (
    <>
      <button
        type="button"
        class={rest.class ?? (danger ? 'danger-quiet' : '')}
        disabled={disabled || isBusy}
        onClick={click}
      >
        {label}
      </button>
      {isAsking && (
        <Confirm title={title} action={label} danger={danger} onConfirm={start} onCancel={() => setAsking(false)}>
          {confirm}
        </Confirm>
      )}
    </>
  );
}
