import { signal } from '@preact/signals';
import { href, navigate } from '../router';
import { areShortcutsOn } from '../settings';
import { PAGES } from './pages';

/** Time within which the second key of `g o` has to follow. */
const SEQUENCE_MS = 1_500;

export const isHelpShown = signal(false);

export function showHelp(): void {
  isHelpShown.value = true;
}

let prefixUntil = 0;

/** Listens to the keyboard shortcuts of the app. */
export function listenToShortcuts(): void {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (areShortcutsOn.value === 'off' || isTyping(event.target) || document.querySelector('dialog[open]')) return;
    if (press(event.key)) event.preventDefault();
  });
}

function press(key: string): boolean {
  if (Date.now() < prefixUntil) {
    prefixUntil = 0;
    const page = PAGES.find((page) => page.key === key);
    if (page) navigate(href(page.path));
    return page !== undefined;
  }
  if (key === 'g') prefixUntil = Date.now() + SEQUENCE_MS;
  else if (key === '/') focusSearch();
  else if (key === '?') showHelp();
  else return false;
  return true;
}

/** Focuses the search of the page, or the one at the top. */
function focusSearch(): void {
  const field = document.querySelector('main [data-search]') ?? document.querySelector('[data-search]');
  if (!(field instanceof HTMLInputElement)) return;
  field.focus();
  field.select();
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}
