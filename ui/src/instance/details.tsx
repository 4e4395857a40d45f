import type { ComponentChildren } from 'preact';
import { Payload } from '../components';
import { duration, fullTime } from '../format';
import { route, setQuery } from '../router';
import type { HistoryEvent } from '../types';
import { choose } from './address';
import { FailureBox, ofRuntime } from './failure';
import type { InstanceModel } from './model';
import { eventPayload, eventSubject, eventTitle, stepOf } from './names';
import { Id } from './sentence';

/** The event that is chosen in the address, or -1. */
export function selectedEvent(): number {
  const text = route.value.query.get('event');
  return text && /^\d+$/.test(text) ? Number(text) : -1;
}

/** A list, and beside it the details of the chosen event. */
export function Split({ model, children }: { model: InstanceModel; children: ComponentChildren }) {
  const at = selectedEvent();
  model.version.value;
  const event = model.history.events[at];
  return (
    <div class={event ? 'i-split' : undefined}>
      {children}
      {event && <EventDetails model={model} at={at} event={event} />}
    </div>
  );
}

/** Everything that is known about an event. */
function EventDetails({ model, at, event }: { model: InstanceModel; at: number; event: HistoryEvent }) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  const row = sequence > 0 ? model.history.row(sequence) : undefined;
  const span = row?.spans.find((one) => one.start === at || one.end === at);
  const partner = span && span.start !== span.end ? (span.start === at ? span.end : span.start) : -1;
  const tab = route.value.query.get('tab');
  return (
    <aside class="panel i-details" aria-label="Chosen event" data-test="details">
      <button type="button" class="quiet i-close" aria-label="Close the details" onClick={() => choose({ event: null })}>
        ✕
      </button>
      <h2>
        {eventTitle(event)} <code>{eventSubject(event)}</code>
      </h2>
      <dl class="facts">
        <dt>Time</dt>
        <dd>{fullTime(event.time)}</dd>
        <dt>Turn</dt>
        <dd>
          {event.turn}
          {sequence > 0 && `, step ${sequence}`}
          {'attempt' in event && event.attempt > 1 && `, attempt ${event.attempt}`}
        </dd>
        {event.label && (
          <>
            <dt>Label</dt>
            <dd>{event.label}</dd>
          </>
        )}
        {span && span.to !== Infinity && (
          <>
            <dt>Took</dt>
            <dd>{duration(span.to - span.from)}</dd>
          </>
        )}
        <Targets event={event} />
      </dl>
      <Content event={event} />
      <p class="row">
        {partner >= 0 && (
          <button type="button" onClick={() => choose({ event: partner })}>
            {partner > at ? 'Go to its end' : 'Go to its start'}
          </button>
        )}
        {tab !== 'history' && (
          <button type="button" onClick={() => setQuery({ tab: 'history' }, false)}>
            Show in the history
          </button>
        )}
        <button type="button" onClick={() => setQuery({ tab: 'travel', turn: event.turn }, false)}>
          Travel to turn {event.turn}
        </button>
      </p>
    </aside>
  );
}

/** The orchestrations and entities that an event is about. */
function Targets({ event }: { event: HistoryEvent }) {
  const ids: string[] = [];
  const step = stepOf(event);
  if ('entity' in event) ids.push(event.entity);
  if ('instance' in event) ids.push(event.instance);
  if ('parent' in event && event.parent) ids.push(event.parent);
  if (step?.kind === 'SubOrchestration') ids.push(step.instance);
  if (step?.kind === 'EntityCall') ids.push(step.entity);
  if (step?.kind === 'Lock') ids.push(...step.entities);
  const due = step?.kind === 'Timer' ? step.due : 'due' in event ? event.due : null;
  return (
    <>
      {ids.length > 0 && (
        <>
          <dt>With</dt>
          <dd>
            {ids.map((id) => (
              <div key={id}>
                <Id id={id} />
              </div>
            ))}
          </dd>
        </>
      )}
      {due && (
        <>
          <dt>Due</dt>
          <dd>{fullTime(due)}</dd>
        </>
      )}
    </>
  );
}

function Content({ event }: { event: HistoryEvent }) {
  if (event.event === 'StepFailed' || event.event === 'StepRefused' || event.event === 'ExecutionFailed') {
    const failure = 'failure' in event ? event.failure : null;
    const error = 'error' in event ? event.error : null;
    return (
      <>
        {failure && <FailureBox failure={failure} />}
        {error && <FailureBox failure={ofRuntime(error)} />}
      </>
    );
  }
  if ('reason' in event) return <p>{event.reason || 'No reason was given.'}</p>;
  const payload = eventPayload(event);
  if (payload === undefined || (payload === null && event.event === 'StepScheduled')) return null;
  const name = 'result' in event ? 'result' : 'payload' in event ? 'payload' : 'output' in event ? 'output' : 'input';
  return (
    <>
      <h3>{name}</h3>
      <Payload value={payload} label={name} lines={24} />
    </>
  );
}
