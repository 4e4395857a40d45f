import type { HistoryEvent } from '../types';
import { lineText } from './history-lines';
import { eventGroup, eventSubject, eventTitle, isFailure } from './names';

/** The classes of a line about an event. */
export function eventClass(event: HistoryEvent): string {
  return `i-event i-kind-${eventGroup(event)}${isFailure(event) ? ' i-failed' : ''}`;
}

/** An event in one line: what happened, to what, and the start of its payload. */
export function EventLine({ event }: { event: HistoryEvent }) {
  const subject = eventSubject(event);
  return (
    <>
      <span class="i-event-title">{eventTitle(event)}</span>
      <code>{event.label ? `${event.label} (${subject})` : subject}</code>
      <code class="i-event-text">{lineText(event)}</code>
    </>
  );
}
