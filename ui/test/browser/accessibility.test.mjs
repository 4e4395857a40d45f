import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { check } from './support/check.mjs';
import { PAGES, TROUBLED } from './support/addresses.mjs';
import { waitingOrder } from './support/hub.mjs';
import { shop } from './support/shop.mjs';
import { trouble } from './support/trouble.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
// axe assigns to `innerHTML`, which the policy of the dashboard forbids.
const context = { bypassCSP: true, reducedMotion: 'reduce' };

for (const colorScheme of ['light', 'dark']) {
  check(
    `no page has a violation of accessibility (${colorScheme})`,
    async ({ page, context, goto }) => {
      const found = [];
      await shop();
      for (const { name, address, ready } of PAGES) {
        await goto(address);
        await ready(page);
        found.push(...(await violations(page, name)));
      }
      await trouble(context);
      for (const { name, address, ready } of TROUBLED) {
        await goto(address);
        await ready(page);
        found.push(...(await violations(page, name)));
      }
      assert.deepEqual([...new Set(found)], []);
    },
    { context: { ...context, colorScheme }, allow: [/status of 404.*no-such-order/], timeout: 120_000 },
  );

  check(
    `no dialog or menu has a violation of accessibility (${colorScheme})`,
    async ({ page, goto }) => {
      const found = [];
      await waitingOrder('order-waiting');
      const open = [
        ['#/instances', 'Start'],
        ['#/instances', 'Columns'],
        ['#/instances', 'Any time'],
        ['#/instances', 'Any status'],
        ['#/instances', /Actions on all/],
        ['#/instances/order-waiting', 'Raise event'],
        ['#/instances/order-waiting', 'Terminate'],
        ['#/instances/order-waiting', 'Restart'],
        ['#/schedules', 'New schedule'],
        ['#/schedules', 'Edit'],
        ['#/settings', 'Keyboard shortcuts'],
      ];
      for (const [address, name] of open) {
        await goto(address);
        const control = page.locator('summary').filter({ hasText: name }).or(page.getByRole('button', { name, exact: true }));
        await control.first().click();
        await page.locator('dialog[open], details[open]').first().waitFor();
        found.push(...(await violations(page, `${address} ${name}`)));
      }
      assert.deepEqual([...new Set(found)], []);
    },
    { context: { ...context, colorScheme } },
  );
}

/** Returns the violations that axe finds, each as a line. */
async function violations(page, name) {
  await page.evaluate(AXE);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return result.violations.flatMap(({ id, nodes }) =>
    nodes.slice(0, 2).map(({ target, any }) => `${name}: ${id}: ${target.join(' ')}: ${any[0]?.message ?? ''}`),
  );
}
