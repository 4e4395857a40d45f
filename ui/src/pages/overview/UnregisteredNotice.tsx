import { Link } from '../../components';
import { href } from '../../router';
import { hub } from '../../store';

/** Warns that work waits for code that this build does not have. */
export function UnregisteredNotice() {
  const names = hub.value?.unregistered ?? [];
  if (names.length === 0) return null;
  return (
    <section class="notice warning" aria-label="Missing code">
      <div>
        <strong>Work waits for code that this program does not register:</strong>{' '}
        {names.map((name, at) => (
          <span key={name}>
            {at > 0 && ', '}
            <code>{name}</code>
          </span>
        ))}
        <p class="muted">
          The orchestrations keep their state and continue when a program that registers these names opens the hub.
        </p>
      </div>
      <Link to={href(['instances'], { unregistered: true })}>Show the instances</Link>
    </section>
  );
}
