import type { Page } from './api';

/** Rows kept in memory. Pages far from the visible rows are dropped beyond it and loaded again on demand. */
const MOST_ROWS = 4_000;
/** Rows loaded ahead of the visible ones. */
const AHEAD = 100;
/** Requests in a row without a match after which a search pauses. */
const MOST_EMPTY = 40;

interface LoadedPage<T> {
  /** Token with which the page is requested. */
  token: string | null;
  start: number;
  count: number;
  /** `null` if it was dropped. */
  items: T[] | null;
}

export type LoadPage<T> = (token: string | null, signal: AbortSignal) => Promise<Page<T> & { searched?: number }>;

/**
 * A list of any length that is read page by page while somebody scrolls. It sends one request at a time and keeps a
 * bounded number of rows.
 */
export class PagedList<T> {
  /** Number of known rows. */
  count = 0;
  isComplete = false;
  isLoading = false;
  error: Error | null = null;
  unreadable = 0;
  /** Number of rows that the server returned, also those that did not match. */
  searched = 0;
  /** True if the search has found nothing for long, until `resume`. */
  isPaused = false;

  readonly #load: LoadPage<T>;
  readonly #onChange: () => void;
  #abort = new AbortController();
  #pages: LoadedPage<T>[] = [];
  #next: string | null = null;
  #first = 0;
  #end = 1;
  #empty = 0;

  constructor(load: LoadPage<T>, onChange: () => void) {
    this.#load = load;
    this.#onChange = onChange;
  }

  /** Returns a row, or `undefined` while it is not loaded. */
  at(index: number): T | undefined {
    const page = this.#pages[this.#pageOf(index)];
    return page?.items?.[index - page.start];
  }

  /** Tells which rows are visible. */
  show(first: number, end: number): void {
    this.#first = first;
    this.#end = Math.max(end, 1);
    void this.#run();
  }

  /** Tries again after an error, or continues a search that paused. */
  resume(): void {
    this.error = null;
    this.isPaused = false;
    this.#empty = 0;
    void this.#run();
  }

  /** Replaces rows in memory. `change` returns `null` for a row that stays as it is. */
  patch(change: (row: T) => T | null): void {
    let isChanged = false;
    for (const page of this.#pages) {
      page.items?.forEach((row, at, items) => {
        const patched = change(row);
        if (patched !== null) {
          items[at] = patched;
          isChanged = true;
        }
      });
    }
    if (isChanged) this.#onChange();
  }

  /** Returns the rows in memory. */
  loaded(): T[] {
    return this.#pages.flatMap((page) => page.items ?? []);
  }

  close(): void {
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    if (this.isLoading || this.error || this.#abort.signal.aborted) return;
    this.isLoading = true;
    try {
      for (let page = this.#missing(); page && !this.isPaused; page = this.#missing()) {
        this.#onChange();
        await this.#fetch(page);
        this.#drop();
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) this.error = error as Error;
    }
    this.isLoading = false;
    if (!this.#abort.signal.aborted) this.#onChange();
  }

  /** Returns the next page that the visible rows need. */
  #missing(): LoadedPage<T> | null {
    for (let at = Math.max(0, this.#pageOf(this.#first)); at < this.#pages.length; at++) {
      const page = this.#pages[at]!;
      if (page.start >= this.#end) break;
      if (page.items === null) return page;
    }
    if (this.isComplete || this.#end + AHEAD <= this.count) return null;
    return { token: this.#next, start: this.count, count: 0, items: null };
  }

  async #fetch(page: LoadedPage<T>): Promise<void> {
    const { items, next, unreadable, searched } = await this.#load(page.token, this.#abort.signal);
    if (this.#abort.signal.aborted) return;
    const isNew = !this.#pages.includes(page);
    page.items = items;
    page.count = items.length;
    if (isNew) {
      this.#next = next;
      this.isComplete = next === null;
      this.unreadable += unreadable;
      this.searched += searched ?? items.length;
      this.#empty = items.length > 0 ? 0 : this.#empty + 1;
      this.isPaused = this.#empty >= MOST_EMPTY;
      if (items.length > 0) this.#pages.push(page);
    }
    this.#renumber();
  }

  #renumber(): void {
    let start = 0;
    for (const page of this.#pages) {
      page.start = start;
      start += page.count;
    }
    this.count = start;
  }

  #drop(): void {
    let rows = 0;
    for (const page of this.#pages) rows += page.items?.length ?? 0;
    if (rows <= MOST_ROWS) return;
    const middle = (this.#first + this.#end) / 2;
    const distance = (page: LoadedPage<T>) => Math.abs(page.start + page.count / 2 - middle);
    const byDistance = this.#pages.filter((page) => page.items).sort((a, b) => distance(b) - distance(a));
    for (const page of byDistance) {
      if (rows <= MOST_ROWS) return;
      rows -= page.items?.length ?? 0;
      page.items = null;
    }
  }

  /** Returns the number of the page that contains a row, by binary search. */
  #pageOf(index: number): number {
    let low = 0;
    let high = this.#pages.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const page = this.#pages[middle]!;
      if (index < page.start) high = middle - 1;
      else if (index >= page.start + page.count) low = middle + 1;
      else return middle;
    }
    return -1;
  }
}
