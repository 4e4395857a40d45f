import { anyHref } from '../router';
import { Link } from './Link';

interface Props {
  /** Id of an instance, or of an entity such as `@stock@lamp`. */
  id: string;
  tabIndex?: number;
}

/** A link to an instance or an entity, with its id as text. */
export function InstanceLink({ id, tabIndex }: Props) {
  return (
    <Link to={anyHref(id)} class="id" title={id} tabIndex={tabIndex}>
      {id}
    </Link>
  );
}
