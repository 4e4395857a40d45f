// The pages spare the hub: few requests while nobody does anything, and none in a hidden tab.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { check, open } from './support/check.mjs';
import { PAGES } from './support/addresses.mjs';
import { ask } from './support/hub.mjs';
import { shop } from './support/shop.mjs';

const WATCHED_MS = 10_000;
/** Pages that are opened at one time. */
const AT_ONCE = 6;
const MOST = 6;
const SHOWN = PAGES.filter(({ missing }) => !missing);

check('no page sends many requests while nothing happens, and a hidden one sends none', idle, { timeout: 180_000 });

async function idle() {
  await shop();
  // A browser allows six connections per server, and a live page keeps one of them. So each page is in its own profile.
  const dashboards = await openAll(SHOWN);
  const pages = dashboards.map(({ page }) => page);
  const shown = await countRequests(pages);
  console.log(`# requests in ${WATCHED_MS / 1_000} s: ${SHOWN.map(({ name }, at) => `${name} ${shown[at].length}`).join(', ')}`);
  for (const [at, { name }] of SHOWN.entries()) {
    assert.ok(shown[at].length <= MOST, `${name} has sent ${shown[at].length} requests: ${shown[at].join(' ')}`);
  }
  for (const page of pages) await setHidden(page, true);
  // Requests that have begun are answered.
  await pause(500);
  const hidden = await countRequests(pages);
  for (const [at, { name }] of SHOWN.entries()) assert.deepEqual(hidden[at], [], `${name} while it is hidden`);
  for (const dashboard of dashboards) {
    dashboard.assertQuiet();
    await dashboard.close();
  }
}

check('a page that is shown again reads what it missed', async ({ page, goto }) => {
  await goto('#/schedules');
  const row = page.getByRole('row').filter({ hasText: 'stock-taking' });
  await row.waitFor();
  await setHidden(page, true);
  const seen = collect(page);
  await ask('POST', '/schedules/stock-taking/pause');
  await pause(6_000);
  assert.deepEqual(seen, [], 'it reads nothing while it is hidden');
  await setHidden(page, false);
  await row.getByText('Paused', { exact: true }).waitFor();
  const reads = seen.filter((url) => url.startsWith('/schedules'));
  assert.ok(reads.length <= 2, seen.join(' '));
});

/** Opens pages, a few at a time. */
async function openAll(pages) {
  const opened = [];
  while (opened.length < pages.length) {
    const some = pages.slice(opened.length, opened.length + AT_ONCE).map(async ({ address, ready }) => {
      const dashboard = await open();
      await dashboard.goto(address);
      await ready(dashboard.page);
      return dashboard;
    });
    opened.push(...(await Promise.all(some)));
  }
  return opened;
}

/** Counts the requests of all pages at the same time. */
async function countRequests(pages) {
  const seen = pages.map(collect);
  await pause(WATCHED_MS);
  return seen.map((list) => [...list]);
}

function collect(page) {
  const seen = [];
  page.on('request', (request) => seen.push(request.url().split('/durabletask')[1]));
  return seen;
}

/** Tells a page that it is hidden, as the browser does for a tab in the background. */
async function setHidden(page, isHidden) {
  await page.evaluate((isHidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => isHidden });
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => (isHidden ? 'hidden' : 'visible') });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
}
