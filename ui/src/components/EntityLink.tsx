import { entityHref } from '../router';
import type { EntityId } from '../types';
import { Link } from './Link';

/** A link to an entity, with its type and key as text. */
export function EntityLink({ id: { name, key } }: { id: EntityId }) {
  return (
    <Link to={entityHref(name, key)} class="id">
      {name} {key}
    </Link>
  );
}
