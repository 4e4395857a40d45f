// The pages spare the hub: few requests while nobody does anything, and none in a hidden tab.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { check, open } from './support/check.mjs';
import { PAGES } from './support/addresses.mjs';
import { shop } from './support/shop.mjs';

const WATCHED_MS = 10_000;
/** Pages that are opened at one time. */
const AT_ONCE = 6;
/** The overview reads its parts at their own pace. */
const MOST = { overview: 20 };
const MOST_OF_OTHERS = 12;
const SHOWN = PAGES.filter(({ missing }) => !missing);

check('no page sends many requests while nobody does anything, and a hidden one sends none', async () => {
  await shop();
  // A browser allows six connections per server, and a live page keeps one of them. So each page is in its own profile.
  const dashboards = await openAll(SHOWN);
  const pages = dashboards.map(({ page }) => page);
  const idle = await countRequests(pages);
  console.log(`# requests in ${WATCHED_MS / 1_000} s: ${SHOWN.map(({ name }, at) => `${name} ${idle[at].length}`).join(', ')}`);
  for (const [at, { name }] of SHOWN.entries()) {
    const most = MOST[name] ?? MOST_OF_OTHERS;
    assert.ok(idle[at].length <= most, `${name} has sent ${idle[at].length} requests: ${idle[at].join(' ')}`);
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
});

check('a page that is shown again reads what it missed, once', async ({ page, goto }) => {
  await shop();
  await goto('#/schedules');
  await setHidden(page, true);
  await pause(6_000);
  const seen = collect(page);
  await setHidden(page, false);
  await pause(1_000);
  assert.ok(seen.filter((url) => url.startsWith('/schedules')).length === 1, seen.join(' '));
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
