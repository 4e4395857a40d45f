import { count } from '../../format';

interface Props {
  line: { running: number; waiting: number; limit: number | null };
  label: string;
}

/** Running and waiting attempts as a bar, whose full length is the limit or all of them. */
export function SlotBar({ line: { running, waiting, limit }, label }: Props) {
  const whole = Math.max(1, running + waiting, limit ?? 0);
  const text = `${label}: ${count(running)} running, ${count(waiting)} waiting${limit === null ? '' : `, limit ${count(limit)}`}`;
  return (
    <div class="bar" role="img" aria-label={text} title={text}>
      <span class="fill-started" style={{ width: `${(running / whole) * 100}%` }} />
      <span class="fill-waiting" style={{ width: `${(waiting / whole) * 100}%` }} />
    </div>
  );
}
