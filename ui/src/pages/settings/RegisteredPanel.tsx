import { Link, Panel } from '../../components';
import { href } from '../../router';
import { hub } from '../../store';

/** The code that the program registers. */
export function RegisteredPanel() {
  const known = hub.value;
  if (!known) return null;
  return (
    <Panel title="Registered code">
      <div class="panel-body">
        <Names
          title="Orchestrations"
          names={known.orchestrations.map(({ name, versions }) => [
            name,
            href(['instances'], { name }),
            versions.filter(Boolean).join(', '),
          ])}
        />
        <Names
          title="Entities"
          names={known.entities.map(({ name, operations }) => [
            name,
            href(['entities'], { type: name }),
            operations.map(({ name, parameters }) => `${name}(${parameters.join(', ')})`).join(', '),
          ])}
        />
        <Names title="Activities" names={known.activities.map((name) => [name, href(['activities'], { name }), ''])} />
      </div>
    </Panel>
  );
}

/** Names with their addresses and a remark. */
function Names({ title, names }: { title: string; names: (readonly [string, string, string])[] }) {
  return (
    <>
      <h3>{title}</h3>
      <ul class="types">
        {names.map(([name, to, remark]) => (
          <li key={name}>
            <Link to={to} class="id">
              {name}
            </Link>{' '}
            <span class="muted">{remark}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
