import { age, fullTime, time } from '../format';

interface Props {
  t: string | number | null | undefined;
  /** Shows the age instead of the time. */
  relative?: boolean;
}

/** A time in the chosen zone. The title has the full time and the age. */
export function Time({ t, relative }: Props) {
  if (t === null || t === undefined) return <span class="muted">–</span>;
  const iso = typeof t === 'number' ? new Date(t).toISOString() : t;
  return (
    <time dateTime={iso} title={`${fullTime(t)} (${age(t)})`} class="time">
      {relative ? age(t) : time(t)}
    </time>
  );
}
