import type { ComponentChildren } from 'preact';

interface Props {
  title: ComponentChildren;
  /** Buttons at the end of the line. */
  children?: ComponentChildren;
}

/** The heading of a page. */
export function PageHead({ title, children }: Props) {
  return (
    <div class="page-head">
      <h1>{title}</h1>
      <span class="spacer" />
      {children}
    </div>
  );
}
