// The frame of every test: a known state of the hub, a page of its own, and no complaint of the browser.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { after, test } from 'node:test';
import { chromium } from 'playwright-core';
import { BASE, reset } from './hub.mjs';
import { picture } from './picture.mjs';

const PATIENCE_MS = 10_000;
const DELAY_MS = Number(process.env.ABIDE_DELAY_MS ?? 0);
let browser;
after(() => browser?.close());

/**
 * A test with a page. It fails at an error in the console, an exception, a violation of the content security policy, a
 * dialog of the browser, or a request to another host.
 *
 * `allow` has patterns of messages that the test provokes. `context` has options of the browser.
 */
export function check(name, run, { allow = [], context = {}, timeout = 60_000 } = {}) {
  test(name, { timeout }, async () => {
    await reset();
    const dashboard = await open({ allow, context });
    try {
      await run(dashboard);
      dashboard.assertQuiet();
    } catch (error) {
      await picture(dashboard.page, 'failed', name);
      const { complaints } = dashboard;
      throw complaints.length === 0 ? error : new Error(`${error.message}\ncomplaints:\n${complaints.join('\n')}`, { cause: error });
    } finally {
      await dashboard.close();
    }
  });
}

/** Opens a browser window with an empty page. */
export async function open({ allow = [], context: options = {} } = {}) {
  browser ??= await chromium.connect(process.env.ABIDE_TEST_BROWSER);
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: 'light',
    timezoneId: 'Europe/Berlin',
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const complaints = [];
  const complain = (text) => {
    if (!allow.some((pattern) => pattern.test(text))) complaints.push(text);
  };
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) =>
      console.error(`violates ${violatedDirective}: ${blockedURI} ${sample}`),
    );
  });
  if (DELAY_MS > 0) {
    await context.route(/\/durabletask\//, delay);
    await context.addInitScript(changePagesLater, Math.min(DELAY_MS, 100));
  }
  if (process.env.ABIDE_DIST) await context.route(/\/ui\/\w+\.(js|css|html)$/, replace);
  context.on('page', (page) => watch(page, complain));
  const page = await context.newPage();
  return {
    context,
    page,
    complaints,
    /** Shows an address of the app, such as `#/instances`, in a page that was loaded anew. */
    async goto(address, target = page) {
      await target.goto('about:blank');
      await target.goto(`${BASE}/ui/index.html${address}`);
      await target.locator('h1').first().waitFor();
    },
    assertQuiet: () => assert.deepEqual(complaints, []),
    close: () => context.close(),
  };
}

function watch(page, complain) {
  const { host } = new URL(BASE);
  page.on('console', (message) => {
    if (message.type() === 'error') complain(`console: ${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => complain(`exception: ${error.stack ?? error}`));
  page.on('dialog', (dialog) => {
    complain(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.host !== host) complain(`request to ${url.href}`);
  });
}

/** Sends a request later, so that answers come in another order than on a fast machine. */
async function delay(route) {
  await pause(Math.random() * DELAY_MS);
  await route.continue().catch(() => null);
}

/** Shows the page of a new address later, so that a test which takes the old page for the new one fails. */
function changePagesLater(delayMs) {
  const { addEventListener } = window;
  window.addEventListener = (type, listener, ...rest) => {
    const changed = type === 'hashchange' ? (event) => setTimeout(listener, delayMs, event) : listener;
    addEventListener(type, changed, ...rest);
  };
}

/** Answers with a file of `ABIDE_DIST` and the headers of the service. */
async function replace(route) {
  const name = new URL(route.request().url()).pathname.split('/').at(-1);
  const response = await route.fetch();
  await route.fulfill({ response, body: readFileSync(`${process.env.ABIDE_DIST}/${name}`) });
}
