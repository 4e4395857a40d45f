import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Dialog } from './Dialog';

interface Props {
  title: string;
  /** Label of the button that submits. */
  action: string;
  danger?: boolean;
  wide?: boolean;
  disabled?: boolean;
  /** The inputs, whose names are those of the data. */
  children?: ComponentChildren;
  /** Does it. An error is shown in the dialog, which stays open. */
  onSubmit: (data: FormData) => void | Promise<void>;
  onClose: () => void;
}

/** A dialog with a form. It sends once at a time. */
export function FormDialog({ title, action, danger, wide, disabled, children, onSubmit, onClose }: Props) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState('');
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (isBusy || disabled) return;
    setBusy(true);
    setError('');
    try {
      await onSubmit(new FormData(event.currentTarget as HTMLFormElement));
    } catch (error) {
      setError((error as Error).message);
    }
    setBusy(false);
  }
  return (
    <Dialog title={title} onClose={onClose} wide={wide}>
      <form onSubmit={submit}>
        {children}
        {error && (
          <p class="bad" role="alert">
            {error}
          </p>
        )}
        <footer>
          <button type="button" onClick={onClose} autofocus={danger}>
            Cancel
          </button>
          <button type="submit" class={danger ? 'danger' : 'primary'} disabled={isBusy || disabled} autofocus>
            {action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
