import { changed, type RouteQuery } from '../route';
import { route, setQuery } from '../router';

const DELAY_MS = 300;
let timer = 0;

/**
 * Changes the query of the address: at once for the page, and a moment later for the browser. A key that is held down
 * makes more changes than browsers accept, some of which refuse more than 100 in 30 seconds.
 */
export function choose(patch: RouteQuery): void {
  const { path, query } = route.value;
  route.value = { path, query: changed(query, patch) };
  const before = location.hash;
  clearTimeout(timer);
  timer = setTimeout(() => {
    // Another page may have been opened since.
    if (location.hash === before) setQuery({});
  }, DELAY_MS);
}
