import { Link } from '../components';
import { href, route } from '../router';
import { PAGES } from './pages';

/** The links to all pages. */
export function Nav() {
  const shown = route.value.path[0];
  return (
    <nav class="nav" aria-label="Pages">
      <ul>
        {PAGES.map(({ path, title, key, icon }) => (
          <li key={key}>
            <Link to={href(path)} title={`${title} (g ${key})`} aria-current={shown === path[0] ? 'page' : undefined}>
              <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
                <path d={icon} />
              </svg>
              {title}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
