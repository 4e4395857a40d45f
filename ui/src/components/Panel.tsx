import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface Props {
  title: ComponentChildren;
  /** Buttons and notes in the header. */
  head?: ComponentChildren;
  children: ComponentChildren;
}

/** A part of a page with a heading. */
export function Panel({ title, head, children }: Props) {
  const id = useId();
  return (
    <section class="panel" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        <span class="spacer" />
        {head}
      </header>
      {children}
    </section>
  );
}
