import { ApiError, type Query, request } from './api';
import { EventParser } from './event-parser';
import type { HubEvent, HubEventKind, InstanceChange, MissedEvents } from './types';

/** Longest silence of the server, which sends a comment every 15 s. */
const SILENCE_MS = 45_000;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

export type SubscriptionState = 'connecting' | 'open' | 'unavailable';

/**
 * Subscribes to changes. Reconnects after an error and resumes after the last event. Returns a function that ends the
 * subscription.
 *
 * The connection is closed while the page is hidden: browsers allow six per server, and hidden tabs would use them up.
 */
export function subscribe(
  query: Query,
  onEvent: (event: HubEvent) => void,
  onState?: (state: SubscriptionState) => void,
): () => void {
  let abort = new AbortController();
  let last: string | null = null;
  let delay = FIRST_DELAY_MS;
  let ended = false;
  let running = false;

  async function run(): Promise<void> {
    if (running) return;
    running = true;
    while (!ended && !document.hidden) {
      onState?.('connecting');
      try {
        await connect();
      } catch (error) {
        // The server is there and refuses, so another attempt would be refused as well.
        if (error instanceof ApiError && (error.status === 501 || (error.status >= 400 && error.status < 429))) {
          ended = true;
          onState?.('unavailable');
        }
      }
      if (ended || document.hidden) break;
      await pause(delay * (0.75 + Math.random() / 2));
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    }
    running = false;
  }

  async function connect(): Promise<void> {
    abort = new AbortController();
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (last !== null) headers['last-event-id'] = last;
    const response = await request('GET', '/events', query, { headers, signal: abort.signal });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (!reader) return;
    onState?.('open');
    const parser = new EventParser();
    let watch: ReturnType<typeof setTimeout> | undefined;
    try {
      for (;;) {
        clearTimeout(watch);
        watch = setTimeout(() => abort.abort(), SILENCE_MS);
        const { done, value } = await reader.read();
        if (done) return;
        delay = FIRST_DELAY_MS;
        for (const { id, event, data } of parser.push(value)) {
          if (id !== null) last = id;
          const read = hubEvent(id, event, data);
          if (read && !ended) onEvent(read);
        }
      }
    } finally {
      clearTimeout(watch);
    }
  }

  function onVisibility(): void {
    if (document.hidden) abort.abort();
    else void run();
  }

  document.addEventListener('visibilitychange', onVisibility);
  void run();
  return () => {
    ended = true;
    document.removeEventListener('visibilitychange', onVisibility);
    abort.abort();
  };
}

function hubEvent(id: string | null, type: string, data: string): HubEvent | null {
  try {
    if (type === 'hello') return { id, type };
    const value: unknown = JSON.parse(data);
    return type === 'missed'
      ? { id, type, missed: value as MissedEvents }
      : { id, type: type as HubEventKind, change: value as InstanceChange };
  } catch {
    return null;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
