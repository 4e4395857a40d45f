import { words } from '../format';

interface Props {
  status: string;
  /** Marks an instance that cannot continue. */
  stopped?: boolean;
}

/** The status of an instance, a batch or an activity as a badge. */
export function Status({ status, stopped }: Props) {
  const shown = stopped ? 'Stopped' : status;
  return (
    <span class={`status status-${shown.toLowerCase()}`}>
      <span class="dot" aria-hidden="true" />
      {words(shown)}
    </span>
  );
}
