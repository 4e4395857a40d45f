/** Explains in plain sentences what an orchestration waits for. */

import type { ActivityProgress, Cause, EntityBlock, Waiting, WaitingStep } from '../types';
import { entityName } from './names';

/** A piece of a sentence: text, a name, a link to an orchestration or entity, a countdown, or the time that has passed. */
export type Part = string | { code: string } | { link: string } | { due: string } | { ago: string };

export interface Reason {
  parts: Part[];
  /** How to get on, if there is something to do. */
  hint?: Part[];
  /** The name of the event that can be raised. */
  raise?: string;
  /** The orchestration that must do something first, and what that one waits for. */
  next?: { id: string; cause: Cause };
  bad?: boolean;
}

/** Explains an open step. `nameOf` names another step by its number. */
export function explain(step: WaitingStep, nameOf = (sequence: number) => `step ${sequence}`): Reason {
  const since: Part[] = [' (for ', { ago: step.since }, ')'];
  switch (step.waitsFor) {
    case 'event':
      return {
        parts: ['Waits for the event ', { code: step.name }, ...since, '. It has not received it yet.'],
        hint: ['Raise it with the payload that its code expects, and the orchestration continues.'],
        raise: step.name,
      };
    case 'timer':
      return { parts: ['Waits for a timer, which fires ', { due: step.due }, '.'] };
    case 'retry':
      return { parts: ['An attempt of ', { code: nameOf(step.step) }, ' failed. The next one begins ', { due: step.due }, '.'] };
    case 'activity':
      return activity(step, since);
    case 'subOrchestration':
      return {
        parts: ['Waits for the end of the sub-orchestration ', { link: step.instance }, ' (', { code: step.name }, ')', ...since, '.'],
        next: { id: step.instance, cause: step.cause },
      };
    case 'entityCall': {
      const call: Part[] = ['Waits for the answer of ', { link: step.entity }, ' to ', { code: step.operation }, ...since, '.'];
      if (step.blocked) return blocked(call, step.blocked);
      return {
        parts: [
          ...call,
          step.ahead === undefined
            ? ' The call is on its way or runs now.'
            : step.ahead === 0
              ? ' The call is next in the queue.'
              : ` ${messages(step.ahead)} ahead of it in the queue.`,
        ],
      };
    }
    case 'lock': {
      const wanted = step.entities[step.held] ?? step.entities[0] ?? '';
      const lock: Part[] = ['Waits for the lock of ', { link: wanted }, ...since, '.'];
      if (step.entities.length > 1) lock.push(` It holds ${step.held} of the ${step.entities.length} locks that it needs.`);
      if (!step.blocked) return { parts: [...lock, ' The request is on its way.'] };
      return blocked(lock, step.blocked);
    }
  }
}

const DEPLOY = 'Deploy a build that registers it. It then continues by itself.';

function activity(step: WaitingStep & { waitsFor: 'activity' }, since: Part[]): Reason {
  const { progress, attempt, crashes } = step;
  const name: Part = { code: step.name };
  const again = attempt > 1 ? `, attempt ${attempt}` : '';
  const parts: Part[] = ['Waits for the activity ', name, again, ...since, '. ', ...activityState(progress)];
  if (crashes > 0) parts.push(` The process crashed ${crashes === 1 ? 'once' : `${crashes} times`} while it was running.`);
  const bad = progress.state === 'unregistered' || crashes > 0;
  return progress.state === 'unregistered'
    ? { parts, bad, hint: [DEPLOY] }
    : { parts, bad };
}

function activityState(progress: ActivityProgress): Part[] {
  switch (progress.state) {
    case 'running':
      return ['It is running.'];
    case 'inLine': {
      const ahead = progress.ahead === 0 ? 'It is next in line' : `It is in line: ${progress.ahead} ahead of it`;
      const busy = progress.running >= progress.limit ? `all ${progress.limit} slots are busy` : `${progress.running} of ${progress.limit} slots are busy`;
      return [`${ahead}, ${busy}.`];
    }
    case 'queued':
      return ['It is in line.'];
    case 'unregistered':
      return ['This build has no activity of this name.'];
    case 'stopped':
      return ['It runs with the hub.'];
    case 'ended':
      return ['Its result is on its way.'];
    case 'elsewhere':
      return ['It runs elsewhere.'];
  }
}

function blocked(parts: Part[], block: EntityBlock): Reason {
  switch (block.by) {
    case 'lock':
      return {
        parts: [...parts, ' ', { link: block.owner }, ' has held the lock of ', { code: entityName(block.entity) }, ' for ', { ago: block.since }, '.'],
        next: { id: block.owner, cause: block.cause },
      };
    case 'quarantine':
      return {
        parts: [...parts, ' The entity has been in quarantine for ', { ago: block.since }, `: ${block.reason}`],
        hint: ['Deploy a build that can read its state, or release it on the page of ', { link: block.entity }, '.'],
        bad: true,
      };
    case 'unregistered':
      return {
        parts: [...parts, ' This build has no entity of this type.'],
        hint: [DEPLOY],
        bad: true,
      };
    case 'queue':
      return { parts: [...parts, ` ${messages(block.ahead)} ahead of it in the queue of `, { link: block.entity }, '.'] };
  }
}

function messages(n: number): string {
  return n === 1 ? '1 message is' : `${n} messages are`;
}

/** The one sentence that answers the question. */
export function headline(waiting: Waiting): Part[] {
  if (waiting.stopped) return ['It is stopped and waits for a fixed build.'];
  if (waiting.status === 'Suspended') return ['It is suspended and waits until it is resumed.'];
  if (waiting.startsAt) return ['It has not started yet. It starts ', { due: waiting.startsAt }, '.'];
  if (waiting.status === 'Pending') return ['It has not started yet. Its first turn is about to run.'];
  if (waiting.status === 'ContinuedAsNew') return ['Its next execution is about to begin.'];
  const { steps } = waiting;
  const events = steps.filter((step) => step.waitsFor === 'event');
  const timers = steps.filter((step) => step.waitsFor === 'timer');
  const [event] = events;
  if (event && events.length === 1 && events.length + timers.length === steps.length) {
    const until: Part[] = timers[0] ? [', or until a timer fires ', { due: timers[0].due }] : [];
    return ['It waits until someone raises the event ', { code: event.name }, ...until, '.'];
  }
  if (steps.length === 0) {
    return [waiting.messages > 0 ? 'It waits for nothing. Its next turn is about to run.' : 'It waits for no step.'];
  }
  if (steps.length === 1) return ['It waits for one step.'];
  return [`It waits for ${steps.length} steps${waiting.isTruncated ? ' or more' : ''}.`];
}

/** Why the code cannot run, and the way out. */
export function stopReason(kind: string): { what: string; wayOut: string } {
  const found = STOPS[kind];
  return found
    ? { what: found[0], wayOut: found[1] }
    : { what: `It is stopped (${kind}).`, wayOut: FIXED };
}

const FIXED = 'Deploy a fixed build, with which it resumes.';

const STOPS: Record<string, [string, string]> = {
  Panicked: ['Its code panicked.', `${FIXED} If the cause has passed, try again.`],
  NonDeterministic: [
    'Its code diverges from its history.',
    'Deploy the build that it ran with, or register the changed code as a new version.',
  ],
  ForeignWait: [
    'Its code waits for something that is not durable, such as a sleep of tokio or a channel.',
    `Use a timer, an event or an activity instead. ${FIXED}`,
  ],
  TurnLimit: ['One turn issued too many commands, or never came to rest.', `Use fewer steps at once. ${FIXED}`],
  HistoryLimit: [
    'Its history is too long.',
    'Raise the limit of the hub, and let loops in its code continue as new.',
  ],
  Unregistered: ['This build has no orchestration of its name and version.', DEPLOY],
};

/** Unread events while it waits for another one: perhaps the name was misspelled. */
export function unreadHint(waiting: Waiting): Part[] | null {
  const unread = waiting.unreadEvents ?? [];
  if (unread.length === 0) return null;
  const parts: Part[] = ['It has received events that it has not read: '];
  unread.forEach(({ name, count }, index) => {
    if (index > 0) parts.push(', ');
    parts.push({ code: name }, count > 1 ? ` (${count} times)` : '');
  });
  parts.push('.');
  if (waiting.steps.some((step) => step.waitsFor === 'event')) parts.push(' If one of them was meant for it, its name differs.');
  return parts;
}
