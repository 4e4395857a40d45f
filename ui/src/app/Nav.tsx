import { Link } from '../components';
import { href, route } from '../router';
import { PageIcon } from './icons';
import { PAGES } from './pages';

/** The links to all pages. */
export function Nav() {
  const shown = route.value.path[0];
  return (
    <nav class="nav" aria-label="Pages">
      <ul>
        {PAGES.map(({ id, path, title, key }) => (
          <li key={id}>
            <Link
              to={href(path)}
              title={`${title} (g ${key})`}
              aria-current={shown === path[0] ? 'page' : undefined}
            >
              <PageIcon page={id} />
              <span>{title}</span>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
