import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { TextField } from './Field';
import { FormDialog } from './FormDialog';

interface Props {
  title: string;
  /** What happens, and what cannot be undone. */
  children: ComponentChildren;
  /** Label of the button that does it. */
  action: string;
  danger?: boolean;
  /** Text that has to be typed first, for what is hard to undo. */
  typed?: string;
  onConfirm: (data: FormData) => void | Promise<void>;
  onCancel: () => void;
}

/** A question before an action. */
export function Confirm({ children, typed, onConfirm, onCancel, ...dialog }: Props) {
  const [text, setText] = useState('');
  return (
    <FormDialog {...dialog} disabled={typed !== undefined && text !== typed} onSubmit={onConfirm} onClose={onCancel}>
      <div class="dialog-text">{children}</div>
      {typed !== undefined && (
        <TextField
          label={
            <>
              Type <code>{typed}</code> to confirm
            </>
          }
          name="typed"
          onInput={(event) => setText(event.currentTarget.value)}
        />
      )}
    </FormDialog>
  );
}
