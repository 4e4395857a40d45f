import { useEffect, useId, useState } from 'preact/hooks';
import { get, path } from '../api';
import { Empty, ErrorBox, Panel, Payload, Time } from '../components';
import { count, time } from '../format';
import { useResource } from '../resource';
import { route, setQuery } from '../router';
import type { HistoryEvent, OpenStep } from '../types';
import { choose } from './address';
import { EventLine, eventClass } from './event-line';
import { type Row, type Turn, spanAt } from './history';
import type { InstanceModel } from './model';
import { kindName, stepName } from './names';
import { ReplayCheck } from './replay';
import type { TurnState } from './types';

const DELAY_MS = 120;
/** Events of one side that are listed. */
const MOST = 200;

/** The state of the orchestration after each of its turns. */
export function TravelTab({ model }: { model: InstanceModel }) {
  const slider = useId();
  model.version.value;
  const { turns } = model.history;
  if (turns.length === 0) return <Empty title={model.isLoading.value ? 'Loading…' : 'No turn has run yet'} />;
  const last = turns.length - 1;
  const wanted = route.value.query.get('turn');
  const at = wanted === null ? last : Math.max(0, Math.min(last, Number(wanted) || 0));
  const turn = turns[at] as Turn;
  const go = (to: number) => choose({ turn: Math.max(0, Math.min(last, to)) });
  return (
    <>
      <div class="row i-tools">
        <label for={slider}>Turn</label>
        <button type="button" disabled={at === 0} onClick={() => go(at - 1)} aria-label="Previous turn">
          ‹
        </button>
        <input
          id={slider}
          class="i-slider"
          type="range"
          min={0}
          max={last}
          value={at}
          aria-valuetext={`turn ${at} of ${last}`}
          onInput={(event) => go(Number(event.currentTarget.value))}
          data-test="turn-slider"
        />
        <button type="button" disabled={at === last} onClick={() => go(at + 1)} aria-label="Next turn">
          ›
        </button>
        <output for={slider} class="i-turn-name">
          {count(at)} of {count(last)}
        </output>
        <Time t={turn.time} />
      </div>
      <div class="columns">
        <Events title="It was told" events={model.history.events.slice(turn.start, turn.asked)} from={turn.start} />
        <Events title="Its code asked for" events={model.history.events.slice(turn.asked, turn.end)} from={turn.asked} />
      </div>
      {/* No turn contains an end from outside. */}
      {model.history.events[turn.start]?.event !== 'ExecutionTerminated' && <After model={model} turn={turn} />}
      <ReplayCheck id={model.id} />
    </>
  );
}

function Events({ title, events, from }: { title: string; events: HistoryEvent[]; from: number }) {
  return (
    <Panel title={title}>
      <ul class="panel-body">
        {events.length === 0 && <li class="muted">Nothing.</li>}
        {events.slice(0, MOST).map((event, index) => (
          <li key={from + index}>
            <button
              type="button"
              class={eventClass(event)}
              onClick={() => setQuery({ tab: 'history', event: from + index }, false)}
            >
              <EventLine event={event} />
            </button>
          </li>
        ))}
        <Rest count={events.length} />
      </ul>
    </Panel>
  );
}

function Rest({ count: whole }: { count: number }) {
  return whole > MOST ? <li class="muted">and {count(whole - MOST)} more</li> : null;
}

/** What the server knows about a turn, and what follows from the history until it answers. */
function After({ model, turn }: { model: InstanceModel; turn: Turn }) {
  const number = useDelayed(turn.number);
  const { executionId } = model.status.value ?? {};
  const { data, error } = useResource<TurnState>(
    (signal) => get(path`/instances/${model.id}/turns/${number}`, undefined, signal),
    [model.id, number, executionId],
  );
  const answer = data?.turn === turn.number ? data : undefined;
  const open = answer?.open ?? openSteps(model, turn.number);
  return (
    <Panel title="Open after this turn">
      <ul class="panel-body">
        {open.length === 0 && <li class="muted">No step.</li>}
        {open.slice(0, MOST).map((step) => (
          <li key={step.sequence}>
            <span class="i-step-number">{step.sequence}</span> {kindName(step.step)}{' '}
            <strong>{step.label ?? (step.step.kind === 'Timer' ? `due ${time(step.step.due)}` : stepName(step.step))}</strong>{' '}
            <span class="muted">
              since <Time t={step.since} />
            </span>
            {step.source && <code class="i-source">{step.source}</code>}
          </li>
        ))}
        <Rest count={open.length} />
        {answer?.replay.result === 'matches' && (
          <li>
            Custom status: <Payload value={answer.customStatus} label="custom status" />
          </li>
        )}
        {answer && answer.replay.result !== 'matches' && (
          <li class="muted">
            Source lines and the custom status are unknown, because the code does not replay this history.{' '}
            {answer.replay.message}
          </li>
        )}
      </ul>
      <ErrorBox error={error} feature="source lines and the custom status of a turn" />
    </Panel>
  );
}

function openSteps(model: InstanceModel, turn: number): OpenStep[] {
  return model.history.openAfter(turn).flatMap((row: Row) => {
    const span = spanAt(row, turn);
    if (!row.step || !span) return [];
    const since = new Date(span.from).toISOString();
    return [{ sequence: row.sequence, label: row.label, step: row.step, since, source: null }];
  });
}

/** The value once it has not changed for a moment, so that moving the slider does not send a request per turn. */
function useDelayed(value: number): number {
  const [delayed, setDelayed] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setDelayed(value), DELAY_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return delayed;
}
