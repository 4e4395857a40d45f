import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

interface Props {
  label: ComponentChildren;
  /** Marks the button, because something is chosen. */
  active?: boolean;
  right?: boolean;
  children: ComponentChildren;
}

/** A button that opens a small panel. Escape and a click elsewhere close it. */
export function Menu({ label, active, right, children }: Props) {
  const details = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const element = details.current;
      if (!element?.open) return;
      if (event instanceof KeyboardEvent) {
        if (event.key !== 'Escape') return;
        element.querySelector('summary')?.focus();
      } else if (element.contains(event.target as Node)) return;
      element.open = false;
    };
    const end = new AbortController();
    const { signal } = end;
    addEventListener('pointerdown', close, { signal });
    addEventListener('keydown', close, { signal });
    return () => end.abort();
  }, []);
  return (
    <details class="menu" ref={details} data-active={active || undefined}>
      <summary>{label}</summary>
      <div class={right ? 'menu-body right' : 'menu-body'}>{children}</div>
    </details>
  );
}
