import type { ComponentChildren } from 'preact';
import { FormDialog } from './FormDialog';

interface Props {
  title: string;
  /** What happens, and what cannot be undone. */
  children: ComponentChildren;
  /** Label of the button that does it. */
  action: string;
  danger?: boolean;
  onConfirm: (data: FormData) => void | Promise<void>;
  onCancel: () => void;
}

/** A question before an action. */
export function Confirm({ children, onConfirm, onCancel, ...dialog }: Props) {
  return (
    <FormDialog {...dialog} onSubmit={onConfirm} onClose={onCancel}>
      <div class="dialog-text">{children}</div>
    </FormDialog>
  );
}
