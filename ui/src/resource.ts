import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, get } from './api';
import { isLocked } from './token';

const LONGEST_DELAY_MS = 60_000;
/** The pause after an answer is at least this many times the duration of its request, to spare a hub that is slow. */
const PAUSE_FACTOR = 4;

export interface Resource<T> {
  data: T | undefined;
  error: Error | null;
  loading: boolean;
  /** Loads again now. */
  reload(): void;
}

/**
 * Loads something, and again every `everyMs` while the page is visible. There is one request at a time. After errors,
 * the pauses become longer. A new value of `deps` cancels the request and loads again; until then the old data stays.
 */
export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  deps: readonly unknown[],
  everyMs?: number,
): Resource<T> {
  const [state, setState] = useState<Omit<Resource<T>, 'reload'>>({ data: undefined, error: null, loading: true });
  const reload = useRef<() => void>(() => {});
  const newest = useRef(load);
  newest.current = load;

  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    let busy = false;
    let isDue = false;
    let errors = 0;

    async function run(): Promise<void> {
      clearTimeout(timer);
      if (busy) {
        isDue = true;
        return;
      }
      busy = true;
      isDue = false;
      const began = performance.now();
      setState((old) => ({ ...old, loading: true }));
      let again = everyMs !== undefined;
      try {
        const data = await newest.current(abort.signal);
        errors = 0;
        if (!abort.signal.aborted) setState({ data, error: null, loading: false });
      } catch (error) {
        errors += 1;
        // A route that the server lacks does not appear while it runs.
        if (error instanceof ApiError && error.isMissingRoute) again = false;
        if (!abort.signal.aborted) setState((old) => ({ ...old, error: error as Error, loading: false }));
      }
      busy = false;
      if (abort.signal.aborted) return;
      if (isDue) void run();
      else if (again)
        timer = setTimeout(wake, Math.max(pause(everyMs ?? 0, errors), (performance.now() - began) * PAUSE_FACTOR));
    }

    function wake(): void {
      if (document.hidden) isDue = true;
      else void run();
    }

    function onVisibility(): void {
      if (!document.hidden && isDue && !busy) void run();
    }

    reload.current = () => void run();
    document.addEventListener('visibilitychange', onVisibility);
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisibility);
    };
    // A new token brings everything back at once.
  }, [...deps, everyMs, isLocked.value]);

  return { ...state, reload: () => reload.current() };
}

/** Loads a document of the API, and again every `everyMs`. */
export function useGet<T>(path: string, everyMs: number): Resource<T> {
  return useResource((signal) => get<T>(path, {}, signal), [path], everyMs);
}

function pause(everyMs: number, errors: number): number {
  return errors === 0 ? everyMs : Math.min(Math.max(everyMs, 1_000) * 2 ** errors, LONGEST_DELAY_MS);
}
