import { useEffect, useRef, useState } from 'preact/hooks';
import { get } from './api';
import { Loader, type State } from './loader';
import { isLocked } from './token';

export interface Resource<T> extends State<T> {
  /** Loads again now. */
  reload(): void;
}

/**
 * Loads something, and again every `everyMs` while the page is visible. After errors, the pauses become longer. A new
 * value of `deps` cancels the request and loads again; until then the old data stays.
 *
 * A change of the hub brings the next load forward, unless changes keep coming. A page that follows changes hardly
 * polls, except for what is steady.
 */
export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  deps: readonly unknown[],
  everyMs?: number,
  isSteady?: boolean,
): Resource<T> {
  const [state, setState] = useState<State<T>>({ data: undefined, error: null, loading: true });
  const loader = useRef<Loader<T>>(null);
  const newest = useRef(load);
  newest.current = load;

  useEffect(() => {
    loader.current = new Loader(
      (signal) => newest.current(signal),
      (change) => setState((old) => ({ ...old, ...change })),
      everyMs,
      isSteady,
    );
    return loader.current.start();
    // A new token brings everything back at once.
  }, [...deps, everyMs, isLocked.value]);

  return { ...state, reload: () => loader.current?.run() };
}

/** Loads a document of the API, and again every `everyMs`. */
export function useGet<T>(path: string, everyMs: number): Resource<T> {
  return useResource((signal) => get<T>(path, {}, signal), [path], everyMs);
}
