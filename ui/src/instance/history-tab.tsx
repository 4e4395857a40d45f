import { useEffect, useMemo, useState } from 'preact/hooks';
import { getText, path } from '../api';
import { copy } from '../clipboard';
import { Empty, toast } from '../components';
import { download } from '../download';
import { count, json, time } from '../format';
import { route, setQuery } from '../router';
import type { HistoryEvent } from '../types';
import { choose } from './address';
import { Split, selectedEvent } from './details';
import { EventLine, eventClass } from './event-line';
import { type Filter, type HistoryLine, SearchTexts, historyLines, isEmpty } from './history-lines';
import type { InstanceModel } from './model';
import { eventSubject, eventTitle } from './names';
import { Rows } from './rows';

const GROUPS: [Filter['group'], string][] = [
  ['all', 'All events'],
  ['failed', 'Failures'],
  ['Activity', 'Activities'],
  ['Timer', 'Timers'],
  ['Event', 'Events'],
  ['SubOrchestration', 'Orchestrations'],
  ['EntityCall', 'Entities'],
  ['Lock', 'Locks'],
  ['Execution', 'Execution'],
];

const SEARCH_DELAY_MS = 150;

/** Both sides of each turn, with a search. */
export function HistoryTab({ model }: { model: InstanceModel }) {
  const { query } = route.value;
  const group = GROUPS.find(([name]) => name === query.get('kind'))?.[0] ?? 'all';
  const [typed, setTyped] = useState(query.get('search') ?? '');
  const [text, setText] = useState(typed);
  useEffect(() => {
    const timer = setTimeout(() => {
      setText(typed);
      choose({ search: typed });
    }, SEARCH_DELAY_MS);
    return () => clearTimeout(timer);
  }, [typed]);

  const { history } = model;
  const texts = useMemo(() => new SearchTexts(), [history]);
  const filter: Filter = { group, text };
  const lines = useMemo(() => historyLines(history, filter, texts), [history, model.version.value, group, text]);
  const event = selectedEvent();
  const selected = useMemo(
    () => (event < 0 ? -1 : lines.findIndex((line) => line.told === event || line.asked === event)),
    [lines, event],
  );

  function select(index: number, side?: 'told' | 'asked'): void {
    const line = lines[index];
    if (!line) return;
    // Arrow keys stay on the side of the event that was chosen before.
    const before = lines[selected];
    const wanted = side ?? (before && before.asked === event ? 'asked' : 'told');
    const at = line[wanted] >= 0 ? line[wanted] : Math.max(line.told, line.asked);
    choose({ event: at });
  }

  const keys = { ArrowLeft: () => select(selected, 'told'), ArrowRight: () => select(selected, 'asked') };

  return (
    <Split model={model}>
      <div>
        <div class="row i-tools">
          <input
            type="search"
            placeholder="Search names, labels, payloads"
            aria-label="Search the history"
            value={typed}
            onInput={(change) => setTyped(change.currentTarget.value)}
            data-test="history-search"
          />
          <select
            aria-label="Kind of events"
            value={group}
            onChange={(change) => setQuery({ kind: change.currentTarget.value === 'all' ? null : change.currentTarget.value })}
            data-test="history-kind"
          >
            {GROUPS.map(([name, label]) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
          <span class="muted" role="status">
            {isEmpty(filter) ? `${count(history.events.length)} events` : `${count(matches(lines))} of ${count(history.events.length)} events`}
            {model.isLoading.value && ', loading…'}
          </span>
          <span class="spacer" />
          <button type="button" onClick={() => void copy(json(history.events), `Copied ${count(history.events.length)} events`)}>
            Copy
          </button>
          <button type="button" onClick={() => void save(model)} data-test="download-history">
            Download JSON
          </button>
        </div>
        {lines.length === 0 && !model.isLoading.value ? (
          <Empty title={isEmpty(filter) ? 'No events yet' : 'No event matches'} />
        ) : (
          <Rows
            label="History"
            count={lines.length}
            rowHeight={34}
            selected={selected}
            onSelect={select}
            keys={keys}
            data-test="history"
            head={
              <div class="i-line i-line-head" aria-hidden="true">
                <span>Turn</span>
                <span>What it was told</span>
                <span>What its code asked for</span>
              </div>
            }
            row={(index) => <Line line={lines[index] as HistoryLine} model={model} event={event} />}
            rowLabel={(index) => sentence(lines[index] as HistoryLine, model)}
          />
        )}
      </div>
    </Split>
  );
}

function matches(lines: HistoryLine[]): number {
  return lines.reduce((sum, line) => sum + Number(line.told >= 0) + Number(line.asked >= 0), 0);
}

function Line({ line, model, event }: { line: HistoryLine; model: InstanceModel; event: number }) {
  const turn = model.history.events[Math.max(line.told, line.asked)] as HistoryEvent;
  return (
    <div class={line.isFirst ? 'i-line i-first' : 'i-line'}>
      <span class="i-turn">
        {line.isFirst && (
          <>
            {line.turn} <span class="muted">{time(turn.time).slice(11)}</span>
          </>
        )}
      </span>
      <Side at={line.told} model={model} isChosen={line.told === event} />
      <Side at={line.asked} model={model} isChosen={line.asked === event} />
    </div>
  );
}

function Side({ at, model, isChosen }: { at: number; model: InstanceModel; isChosen: boolean }) {
  const event = model.history.events[at];
  if (!event) return <span />;
  const name = isChosen ? `${eventClass(event)} i-chosen` : eventClass(event);
  return (
    <span class={name} onClick={(click) => chooseSide(click, at)}>
      <EventLine event={event} />
    </span>
  );
}

/** A click chooses the event of its side, and not only the line. */
function chooseSide(click: MouseEvent, at: number): void {
  click.stopPropagation();
  choose({ event: at });
}

function sentence(line: HistoryLine, model: InstanceModel): string {
  const say = (at: number) => {
    const event = model.history.events[at];
    return event ? `${eventTitle(event)} ${event.label ?? ''} ${eventSubject(event)}`.replace(/\s+/g, ' ').trim() : '';
  };
  const told = line.told >= 0 ? `told: ${say(line.told)}` : '';
  const asked = line.asked >= 0 ? `asked: ${say(line.asked)}` : '';
  return `Turn ${line.turn}, ${[told, asked].filter(Boolean).join('; ')}`;
}

/** Saves the whole history as the hub sends it. */
async function save({ id }: InstanceModel): Promise<void> {
  try {
    download(await getText(path`/instances/${id}/history`), `${id.slice(0, 80)}-history.json`);
  } catch (error) {
    toast(`The history was not loaded: ${(error as Error).message}`, 'error');
  }
}
