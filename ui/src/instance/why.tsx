import { useState } from 'preact/hooks';
import { path, send } from '../api';
import { Action, InstanceLink, Status } from '../components';
import { canOperate } from '../store';
import type { Cause, Waiting, WaitingStep } from '../types';
import type { InstanceModel } from './model';
import { stepName } from './names';
import { RaiseDialog } from './raise';
import { type Part, explain, headline, stopReason, unreadHint } from './reasons';
import { ReplayCheck } from './replay';
import { Sentence } from './sentence';

/** Steps of one orchestration that are listed before the rest is folded. */
const FEW = 12;

/** An event that someone wants to raise, and the report of the orchestration that waits for it. */
interface Raised {
  waiting: Waiting;
  name: string;
}

type OnRaise = (raised: Raised) => void;

/** Why the orchestration does not continue, and what can be done about it. */
export function Why({ model }: { model: InstanceModel }) {
  const [raised, setRaised] = useState<Raised | null>(null);
  const waiting = model.waiting.value;
  model.version.value;
  if (!waiting) return null;
  const { stopped } = waiting;
  const nameOf = (sequence: number) => stepName(model.history.row(sequence)?.step);
  return (
    <section class={stopped ? 'panel i-why i-why-bad' : 'panel i-why'} aria-labelledby="i-why" data-test="why">
      <h2 id="i-why">Why is it waiting?</h2>
      <p class="i-headline">
        <Sentence parts={headline(waiting)} />
      </p>
      {stopped && <StopNotice model={model} stopped={stopped} />}
      {waiting.status === 'Suspended' && <SuspendNotice model={model} waiting={waiting} />}
      <CustomStatus value={model.status.value?.customStatus} />
      <Facts waiting={waiting} />
      <Steps waiting={waiting} chain={[waiting.id]} onRaise={setRaised} nameOf={nameOf} />
      {raised && (
        <RaiseDialog
          id={raised.waiting.id}
          waiting={raised.waiting}
          name={raised.name}
          onDone={() => void model.refresh()}
          onClose={() => setRaised(null)}
        />
      )}
    </section>
  );
}

/** A text that the code has set often says more than the runtime knows. */
function CustomStatus({ value }: { value: unknown }) {
  if (typeof value !== 'string' || value === '') return null;
  return (
    <p>
      Its code says: <q>{value}</q>
    </p>
  );
}

function StopNotice({ model, stopped }: { model: InstanceModel; stopped: { kind: string; message: string } }) {
  const { what, wayOut } = stopReason(stopped.kind);
  return (
    <div class="i-notice">
      <p>
        <strong>{what}</strong> Nothing is lost: messages to it wait in order, and it keeps its locks.
      </p>
      <pre class="i-stack">{stopped.message}</pre>
      <p>{wayOut}</p>
      <Action label="Try again" run={() => resume(model)} />
      <ReplayCheck id={model.id} />
    </div>
  );
}

function SuspendNotice({ model, waiting }: { model: InstanceModel; waiting: Waiting }) {
  model.version.value;
  const last = model.history.events.findLast((event) => event.event === 'ExecutionSuspended');
  const reason = last?.event === 'ExecutionSuspended' && last.reason !== '' ? `Reason: ${last.reason}. ` : '';
  const queue = waiting.messages === 1 ? '1 message waits' : `${waiting.messages} messages wait`;
  return (
    <div class="i-notice">
      <p>
        {reason}
        {waiting.messages > 0 ? `${queue} for it and will be read in order.` : 'What arrives meanwhile is kept in order.'}
      </p>
      <Action label="Resume it" run={() => resume(model)} />
    </div>
  );
}

async function resume(model: InstanceModel): Promise<void> {
  await send('POST', path`/instances/${model.id}/resume`);
  await model.refresh();
}

/** What holds for the orchestration as a whole. */
function Facts({ waiting }: { waiting: Waiting }) {
  const facts: Part[][] = [];
  for (const { kind, name, instance } of waiting.unregistered ?? []) {
    const whose: Part[] = instance ? [' The sub-orchestration ', { link: instance }, ' needs it.'] : [];
    facts.push([`This build has no ${kind.toLowerCase()} `, { code: name }, '.', ...whose]);
  }
  const unread = unreadHint(waiting);
  if (unread) facts.push(unread);
  if (waiting.messages > 0 && waiting.status !== 'Suspended') {
    facts.push([waiting.messages === 1 ? '1 message waits to be read.' : `${waiting.messages} messages wait to be read.`]);
  }
  if (waiting.isTruncated) facts.push(['The report reached its limit, so that steps are missing.']);
  if (facts.length === 0) return null;
  return (
    <ul>
      {facts.map((parts, index) => (
        <li key={index}>
          <Sentence parts={parts} />
        </li>
      ))}
    </ul>
  );
}

interface StepsProps {
  waiting: Waiting;
  /** The orchestrations from the first one to this one, each of which waits for the next. */
  chain: string[];
  onRaise: OnRaise;
  /** Names a step by its number, if the history is known. */
  nameOf?: (sequence: number) => string;
}

function Steps(props: StepsProps) {
  const { waiting } = props;
  const [all, setAll] = useState(false);
  const shown = all ? waiting.steps : waiting.steps.slice(0, FEW);
  const rest = waiting.steps.length - shown.length;
  if (waiting.steps.length === 0) return null;
  return (
    <>
      <ul>
        {shown.map((step) => (
          <StepReason key={step.sequence} step={step} {...props} />
        ))}
      </ul>
      {rest > 0 && (
        <button type="button" class="quiet" onClick={() => setAll(true)}>
          Show {rest} more
        </button>
      )}
    </>
  );
}

function StepReason({ step, waiting, chain, onRaise, nameOf }: StepsProps & { step: WaitingStep }) {
  const reason = explain(step, nameOf);
  const { raise: name } = reason;
  return (
    <li class={reason.bad ? 'i-step i-bad' : 'i-step'} data-kind={step.waitsFor}>
      <div class="i-step-line">
        <span>
          {step.label && <strong>{step.label}: </strong>}
          <Sentence parts={reason.parts} />
          {step.source && <code class="i-source">{step.source}</code>}
        </span>
        {name !== undefined && canOperate.value && (
          <button type="button" class="primary" onClick={() => onRaise({ waiting, name })} data-test="raise-it">
            Raise it
          </button>
        )}
      </div>
      {reason.hint && (
        <p class="i-hint">
          <Sentence parts={reason.hint} />
        </p>
      )}
      {reason.next && <Next id={reason.next.id} cause={reason.next.cause} chain={chain} onRaise={onRaise} />}
    </li>
  );
}

/** What the other orchestration waits for. */
function Next({ id, cause, chain, onRaise }: { id: string; cause: Cause; chain: string[]; onRaise: OnRaise }) {
  if (cause === 'cycle') return <Cycle ids={[...chain.slice(chain.indexOf(id)), id]} />;
  if (cause === 'missing') {
    return <p class="i-hint">There is no such orchestration. Its start may be on its way, or it was purged.</p>;
  }
  if (cause === 'omitted') {
    return (
      <p class="i-hint">
        The report ends here. Its continuation is on the page of <InstanceLink id={id} />.
      </p>
    );
  }
  const { report } = cause;
  return (
    <div class="i-next">
      <p>
        <InstanceLink id={report.id} /> <span class="muted">{report.name}</span>{' '}
        <Status status={report.status} stopped={Boolean(report.stopped)} />
      </p>
      {(report.stopped || report.steps.length === 0 || report.status === 'Suspended') && (
        <p>
          <Sentence parts={headline(report)} />
          {report.stopped && ` ${stopReason(report.stopped.kind).what} ${report.stopped.message}`}
        </p>
      )}
      <Facts waiting={report} />
      <Steps waiting={report} chain={[...chain, id]} onRaise={onRaise} />
    </div>
  );
}

function Cycle({ ids }: { ids: string[] }) {
  return (
    <div class="i-cycle" role="note">
      <p>
        <strong>This is a cycle.</strong>{' '}
        {ids.map((id, index) => (
          <span key={index}>
            {index > 0 && ' waits for '}
            <InstanceLink id={id} />
          </span>
        ))}
        .
      </p>
      <p class="i-hint">
        None of them can continue, unless another of their steps ends first. Terminate one of them, or release a lock by
        force on the page of its entity. Code that takes all locks in one step prevents it.
      </p>
    </div>
  );
}
