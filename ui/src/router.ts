import { signal } from '@preact/signals';
import { changed, href, parseRoute, type Route, type RouteQuery } from './route';

export { anyHref, entityHref, entityOf, href, instanceHref, type Route, type RouteQuery } from './route';

/** The address that is shown. */
export const route = signal<Route>(parseRoute(location.hash));

addEventListener('hashchange', () => {
  route.value = parseRoute(location.hash);
});

/** Goes to an address of the app. */
export function navigate(to: string, replace = false): void {
  if (!replace) {
    location.hash = to;
    return;
  }
  // Replaces the entry, so that the button "back" does not stop at every change of a filter.
  history.replaceState(null, '', to);
  route.value = parseRoute(to);
}

/** Changes the query of the address that is shown. */
export function setQuery(patch: RouteQuery, replace = true): void {
  navigate(href(route.value.path, changed(route.value.query, patch)), replace);
}
