import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

interface Props {
  title: string;
  children: ComponentChildren;
  onClose: () => void;
  /** Wide dialogs hold forms with JSON. */
  wide?: boolean;
}

/** A modal dialog. The browser keeps the focus inside, closes it at Escape and returns the focus. */
export function Dialog({ title, children, onClose, wide, ...rest }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // Its end runs while the dialog is still in the page. Only then does the browser return the focus.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // Otherwise the browser focuses the button that closes the dialog.
    element?.querySelector<HTMLElement>('form :is(input, select, textarea, [autofocus])')?.focus();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? 'dialog wide' : 'dialog'}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        // A click on the backdrop has the dialog itself as its target.
        if (event.target === dialog.current) onClose();
      }}
      {...rest}
    >
      <div class="dialog-body">
        <header>
          <h2 id={titleId}>{title}</h2>
          <button type="button" class="quiet" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
