import { now } from '../clock';
import { age, fullTime, time } from '../format';
import { age as ageAt } from '../text';

interface Props {
  t: string | number | null | undefined;
  /** Shows the age instead of the time. */
  relative?: boolean;
}

/** A time in the chosen zone. The title has the full time and the age. */
export function Time({ t, relative }: Props) {
  if (t === null || t === undefined) return <span class="muted">–</span>;
  // A page may have thousands of times. Only the ages are rendered again each second.
  const iso = typeof t === 'number' ? new Date(t).toISOString() : t;
  return (
    <time dateTime={iso} title={`${fullTime(t)} (${ageAt(t, now.peek())})`} class="time">
      {relative ? age(t) : time(t)}
    </time>
  );
}
