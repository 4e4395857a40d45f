import { ApiError } from './api';
import { areChangesFollowed, onChange } from './changes';
import { Pace } from './pace';

const LONGEST_DELAY_MS = 60_000;
/** Pause between two loads while the page follows changes and there are none. */
const QUIET_MS = 120_000;
/** The pause after an answer is at least this many times the duration of its request, to spare a hub that is slow. */
const PAUSE_FACTOR = 4;

export interface State<T> {
  data: T | undefined;
  error: Error | null;
  loading: boolean;
}

/** Loads something repeatedly while the page is visible, with one request at a time. */
export class Loader<T> {
  readonly #load: (signal: AbortSignal) => Promise<T>;
  readonly #onState: (change: Partial<State<T>>) => void;
  readonly #everyMs: number | undefined;
  readonly #isSteady: boolean;
  readonly #pace: Pace;
  readonly #abort = new AbortController();
  #timer = 0;
  /** The timer of the answer to a change. */
  #soon = 0;
  /** When the hub has rested after the last request. */
  #rested = 0;
  #errors = 0;
  #isBusy = false;
  #isDue = false;
  #isChanged = false;
  #isMissing = false;

  /** Loads once without `everyMs`. A steady one loads at that pace also while the page follows changes. */
  constructor(
    load: (signal: AbortSignal) => Promise<T>,
    onState: (change: Partial<State<T>>) => void,
    everyMs?: number,
    isSteady = false,
  ) {
    this.#load = load;
    this.#onState = onState;
    this.#everyMs = everyMs;
    this.#isSteady = isSteady;
    this.#pace = new Pace(everyMs ?? 0);
  }

  /** Begins to load. Returns a function that ends it. */
  start(): () => void {
    const forget = onChange(() => this.#change());
    const onVisibility = () => !document.hidden && this.#isDue && this.run();
    document.addEventListener('visibilitychange', onVisibility, { signal: this.#abort.signal });
    this.run();
    return () => {
      forget();
      this.#abort.abort();
      this.#clear();
    };
  }

  /** Loads now, or once more after the request that runs. */
  run(): void {
    this.#isDue = this.#isBusy;
    if (this.#isBusy) return;
    this.#clear();
    this.#isBusy = true;
    void this.#request();
  }

  async #request(): Promise<void> {
    const { signal } = this.#abort;
    const began = performance.now();
    this.#onState({ loading: true });
    try {
      const data = await this.#load(signal);
      this.#errors = 0;
      this.#isMissing = false;
      if (!signal.aborted) this.#onState({ data, error: null, loading: false });
    } catch (error) {
      this.#errors += 1;
      // A route that the server lacks does not appear while it runs.
      this.#isMissing = error instanceof ApiError && error.isMissingRoute;
      if (!signal.aborted) this.#onState({ error: error as Error, loading: false });
    }
    this.#isBusy = false;
    if (signal.aborted) return;
    const now = performance.now();
    this.#rested = now + (now - began) * PAUSE_FACTOR;
    if (this.#isDue) this.run();
    else this.#plan(now);
  }

  #plan(now: number): void {
    const everyMs = this.#everyMs;
    if (everyMs === undefined || this.#isMissing) return;
    this.#timer = setTimeout(() => this.#wake(), Math.max(this.#pause(everyMs), this.#rested - now));
    if (this.#isChanged) this.#change();
  }

  #pause(everyMs: number): number {
    if (this.#errors > 0) return Math.min(Math.max(everyMs, 1_000) * 2 ** this.#errors, LONGEST_DELAY_MS);
    return this.#isSteady || !areChangesFollowed() ? everyMs : Math.max(everyMs, QUIET_MS);
  }

  /** Brings the next load forward. */
  #change(): void {
    if (this.#everyMs === undefined || this.#isSteady || this.#isMissing || this.#soon) return;
    this.#isChanged = this.#isBusy;
    if (this.#isBusy) return;
    const now = performance.now();
    const pause = this.#errors > 0 ? this.#pause(this.#everyMs) : this.#pace.wait(now);
    this.#soon = setTimeout(() => this.#wake(), Math.max(pause, this.#rested - now));
  }

  #wake(): void {
    if (document.hidden) this.#isDue = true;
    else this.run();
  }

  #clear(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#soon);
    this.#soon = 0;
  }
}
