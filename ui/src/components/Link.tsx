import type { ComponentChildren } from 'preact';

interface Props {
  /** Address within the app, made by `href`, `instanceHref` or `entityHref`. */
  to: string;
  children: ComponentChildren;
  class?: string;
  title?: string;
  label?: string;
  tabIndex?: number;
  'aria-current'?: 'page';
}

/** A link within the app. */
export function Link({ to, children, label, ...rest }: Props) {
  // Ids come from the program. What is not an address of the app is shown as text.
  if (!to.startsWith('#/')) return <span class={rest.class}>{children}</span>;
  return (
    <a href={to} aria-label={label} {...rest}>
      {children}
    </a>
  );
}
