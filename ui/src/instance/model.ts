/** The data of one orchestration, kept up to date while it has not ended. */

import { batch, signal } from '@preact/signals';
import { get, path, subscribe } from '../api';
import { hasEnded } from '../ended';
import type { HistoryEvent, InstanceStatus, Waiting } from '../types';
import { readChunks } from './chunks';
import { History } from './history';

const POLL_MS = 3_000;
/** While the hub tells of changes, one poll in this number is made, because others change what this one waits for. */
const POLLS_SKIPPED = 5;
/** The history and the report of what it waits for cost more than the status. */
const POLLS_OF_STATUS = 3;
/** A busy orchestration changes more often than a person can read. */
const PAUSE_MS = 250;

/** True until the orchestration has ended. */
export function isLive({ status }: InstanceModel): boolean {
  return status.value !== null && !hasEnded(status.value.runtimeStatus);
}

export class InstanceModel {
  readonly status = signal<InstanceStatus | null>(null);
  readonly waiting = signal<Waiting | null>(null);
  readonly error = signal<Error | null>(null);
  readonly historyError = signal<Error | null>(null);
  /** Grows with the history, which is not copied. */
  readonly version = signal(0);
  readonly isLoading = signal(true);
  history = new History();

  #abort = new AbortController();
  #polls = 0;
  #running: Promise<void> | null = null;
  #isStale = false;

  constructor(readonly id: string) {}

  /** Begins to load and to follow changes. Returns a function that ends both. */
  start(): () => void {
    void this.refresh();
    let isTold = false;
    let isGone = false;
    let soon = 0;
    let last = 0;
    let ticks = 0;
    const end = subscribe(
      { prefix: this.id, kinds: 'started,ended,status,stopped,turn,purged' },
      (event) => {
        // The first event says that the hub tells of changes from now on. What was read before it may be older.
        if ('change' in event && event.change.id !== this.id) return;
        // What is gone cannot be read again. The page leaves, or keeps what it has read.
        isGone ||= event.type === 'purged';
        if (isGone) return;
        const wait = last + PAUSE_MS - Date.now();
        soon ||= setTimeout(() => {
          soon = 0;
          last = Date.now();
          void this.refresh();
        }, wait);
      },
      (state) => (isTold = state === 'open'),
    );
    const timer = setInterval(() => {
      ticks += 1;
      if (document.hidden || this.#running || (this.status.value && !isLive(this))) return;
      if (!isTold || ticks % POLLS_SKIPPED === 0) void this.#load();
    }, POLL_MS);
    return () => {
      clearInterval(timer);
      clearTimeout(soon);
      end();
      this.#abort.abort();
    };
  }

  /** Loads what has changed. Calls during a load are answered by one more load after it. */
  refresh(): Promise<void> {
    this.#polls = 0;
    this.#isStale = this.#running !== null;
    return this.#running ?? this.#load();
  }

  #load(): Promise<void> {
    this.#running = this.#loadAll().finally(() => {
      this.#running = null;
      if (this.#isStale && !this.#abort.signal.aborted) void this.refresh();
    });
    return this.#running;
  }

  async #loadAll(): Promise<void> {
    const { signal: abort } = this.#abort;
    const before = this.status.peek();
    try {
      const status = await get<InstanceStatus>(path`/instances/${this.id}`, undefined, abort);
      const isNew = before?.executionId !== status.executionId;
      batch(() => {
        this.status.value = status;
        this.error.value = null;
        if (hasEnded(status.runtimeStatus)) this.waiting.value = null;
        if (isNew) this.#reset();
      });
      // Turns of the same millisecond have the same time of change.
      const isDue = this.#polls++ % POLLS_OF_STATUS === 0;
      if (isDue || isNew || before?.lastUpdatedTime !== status.lastUpdatedTime) {
        await Promise.all([this.#loadHistory(), hasEnded(status.runtimeStatus) ? null : this.#loadWaiting()]);
      }
    } catch (error) {
      if (!abort.aborted) this.error.value = error as Error;
    }
    this.isLoading.value = false;
  }

  async #loadWaiting(): Promise<void> {
    this.waiting.value = await get<Waiting>(path`/instances/${this.id}/waiting`, undefined, this.#abort.signal);
  }

  /** Another execution has another history. */
  #reset(): void {
    this.history = new History();
    this.isLoading.value = true;
    this.version.value += 1;
  }

  async #loadHistory(): Promise<void> {
    const { history } = this;
    const { signal: abort } = this.#abort;
    const last = history.turns[history.turns.length - 1];
    try {
      await readChunks(
        last ? last.number + 1 : 0,
        (fromTurn, turns) => get<HistoryEvent[]>(path`/instances/${this.id}/history`, { fromTurn, turns }, abort),
        (events) => {
          if (history !== this.history) return false;
          history.add(events);
          this.version.value += 1;
          return true;
        },
      );
      this.historyError.value = null;
    } catch (error) {
      if (!abort.aborted) this.historyError.value = error as Error;
    }
  }
}
