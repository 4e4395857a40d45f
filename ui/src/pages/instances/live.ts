import { useEffect, useRef, useState } from 'preact/hooks';
import { subscribe, type SubscriptionState } from '../../events';
import type { PagedList } from '../../paged-list';
import type { HubEvent } from '../../types';
import type { Filter } from './filter';
import type { InstanceRow } from './row';

/** Changes are collected and shown together, so that thousands per second do not stop the page. */
const APPLY_EVERY_MS = 500;

type Changed = Extract<HubEvent, { change: unknown }>;

export interface Live {
  state: SubscriptionState | 'off';
  /** Number of instances that were started since the list was loaded, and that it may not contain. */
  started: number;
  /** True if changes were missed, so that the list may be old. */
  isStale: boolean;
}

/** Applies the changes of the hub to the rows of a list. */
export function useLive(isOn: boolean, filter: Filter, list: PagedList<InstanceRow>): Live {
  const [live, setLive] = useState<Live>({ state: 'off', started: 0, isStale: false });
  const newest = useRef(list);
  newest.current = list;

  useEffect(() => setLive((old) => ({ ...old, started: 0, isStale: false })), [list]);

  useEffect(() => {
    if (!isOn) {
      setLive((old) => ({ ...old, state: 'off' }));
      return;
    }
    const changes = new Map<string, Changed>();
    let started = 0;
    let timer = 0;

    function apply(): void {
      timer = 0;
      if (started > 0) {
        const more = started;
        started = 0;
        setLive((old) => ({ ...old, started: old.started + more }));
      }
      newest.current.patch((row) => {
        const change = changes.get(row.id);
        return change ? patched(row, change) : null;
      });
      changes.clear();
    }

    const query = {
      prefix: filter.prefix || undefined,
      name: filter.name || undefined,
      kinds: 'started,status,ended,stopped,purged',
    };
    const close = subscribe(
      query,
      (event) => {
        if (event.type === 'missed') setLive((old) => ({ ...old, isStale: true }));
        if (!('change' in event)) return;
        if (event.type === 'started') started += 1;
        changes.set(event.change.id, event);
        timer ||= setTimeout(apply, APPLY_EVERY_MS);
      },
      (state) => setLive((old) => ({ ...old, state })),
    );
    return () => {
      close();
      clearTimeout(timer);
    };
  }, [isOn, filter.prefix, filter.name]);

  return live;
}

function patched(row: InstanceRow, { type, change: { status, time } }: Changed): InstanceRow {
  return {
    ...row,
    status: type === 'purged' ? 'Purged' : (status ?? row.status),
    // The event does not tell the reason.
    stopped: type === 'stopped' ? 'reload to see the reason' : null,
    updated: time,
  };
}
