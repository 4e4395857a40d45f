import { effect, type Signal, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';
export type TimeZone = 'local' | 'utc';

/** A setting that the browser remembers. */
function remembered<T extends string>(name: string, values: readonly T[]): Signal<T> {
  const key = `abide.${name}`;
  const known = values.find((value) => value === localStorage.getItem(key));
  const setting = signal<T>(known ?? values[0]!);
  effect(() => localStorage.setItem(key, setting.value));
  return setting;
}

export const theme = remembered<Theme>('theme', ['system', 'light', 'dark']);
export const timeZone = remembered<TimeZone>('timeZone', ['local', 'utc']);
/** Shortcuts of one key get in the way of speech input, so they can be switched off. */
export const areShortcutsOn = remembered<'on' | 'off'>('shortcuts', ['on', 'off']);

effect(() => {
  const root = document.documentElement;
  if (theme.value === 'system') delete root.dataset.theme;
  else root.dataset.theme = theme.value;
});
