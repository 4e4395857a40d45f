import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { order, ask } from './support/hub.mjs';
import { PAGES } from './support/addresses.mjs';
import { shop } from './support/shop.mjs';
import { until } from './support/until.mjs';

check(
  'every page opens by its address and shows what the hub has',
  async ({ page, goto }) => {
    await shop();
    for (const { name, address, ready } of PAGES) {
      await goto(address);
      await ready(page).catch((error) => assert.fail(`${name}: ${error.message}`));
      assert.equal(await page.locator('[data-test=broken]').count(), 0, name);
    }
  },
  { allow: [/status of 404.*no-such-order/] },
);

check('the navigation leads to every page, by mouse and by shortcut', async ({ page, goto }) => {
  await goto('#/');
  const titles = { o: 'Overview', i: 'Instances', e: 'Entities', a: 'Activities', l: 'Locks', s: 'Schedules', p: 'Problems', b: 'Batches' };
  const nav = page.getByRole('navigation', { name: 'Pages' });
  for (const [key, title] of Object.entries(titles)) {
    await nav.getByRole('link', { name: title }).click();
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    assert.equal(await nav.getByRole('link', { name: title }).getAttribute('aria-current'), 'page');
    await page.keyboard.press('g');
    await page.keyboard.press('t');
    await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
  }
});

check('the overview counts orchestrations by status', async ({ page, goto }) => {
  await shop();
  await goto('#/');
  for (const [status, n] of Object.entries({ Running: 1, Suspended: 1, Completed: 1, Failed: 2, Terminated: 1 })) {
    await page.getByRole('link', { name: `${n} ${status}`, exact: true }).waitFor();
  }
  await page.getByRole('link', { name: '2 Failed', exact: true }).click();
  await page.getByRole('link', { name: 'order-failed', exact: true }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'order-done' }).count(), 0);
});

check('the chart of the overview is read by keyboard', async ({ page, goto }) => {
  await shop();
  await goto('#/');
  const chart = page.getByRole('slider', { name: 'Point in time' });
  await chart.focus();
  await page.keyboard.press('End');
  await until(async () => /started/i.test(await chart.getAttribute('aria-valuetext')), 'the value is a sentence');
  const readout = page.locator('[data-test=timeline-readout]');
  await until(async () => !(await readout.innerText()).includes('Whole range'), 'the readout follows');
  await page.keyboard.press('Escape');
  await until(async () => (await readout.innerText()).includes('Whole range'), 'Escape leaves the chart');
});

check('filters of the list select what they say, and are part of the address', async ({ page, goto }) => {
  await shop();
  await goto('#/instances');
  const foot = page.locator('[data-test=list-foot]');
  const shows = (n) => until(async () => (await foot.innerText()).startsWith(`${n} instance`), `${n} instances`);
  await shows(6);
  await page.getByRole('searchbox', { name: 'Id begins with' }).fill('order-s');
  await shows(2);
  await page.getByText('Any status', { exact: true }).click();
  await page.getByRole('checkbox', { name: 'Suspended', exact: true }).check();
  await shows(1);
  await page.keyboard.press('Escape');
  await page.reload();
  await shows(1);
  await page.getByRole('link', { name: 'Clear' }).click();
  await shows(6);
  await page.getByRole('combobox', { name: 'Type' }).selectOption('take_stock');
  await page.getByText('No instance matches').waitFor();
});

check('a live list shows the end of an order without a reload', async ({ page, goto }) => {
  await shop();
  await goto('#/instances?live=1');
  const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'order-waiting', exact: true }) });
  await row.getByText('Running').waitFor();
  // The stream is open when the dot of the button is green.
  await page.locator('button[aria-pressed=true] .status-completed').waitFor();
  await ask('POST', '/instances/order-waiting/raiseEvent/approved', true);
  await row.getByText('Completed').waitFor();
  await order('order-new');
  await page.getByRole('button', { name: '1 new, reload' }).click();
  await page.getByRole('link', { name: 'order-new' }).waitFor();
});

check('columns can be chosen', async ({ page, goto }) => {
  await shop();
  await goto('#/instances');
  await page.getByText('Columns', { exact: true }).click();
  await page.getByRole('checkbox', { name: 'Duration' }).check();
  await page.getByRole('columnheader', { name: 'Duration' }).waitFor();
  await page.getByRole('checkbox', { name: 'Created' }).uncheck();
  await until(async () => (await page.getByRole('columnheader', { name: 'Created' }).count()) === 0, 'the column is gone');
});

check('the search finds an instance by prefix and an entity by its id', async ({ page, goto }) => {
  await shop();
  await goto('#/');
  const search = page.getByRole('searchbox', { name: /Find an instance/ });
  await search.fill('order-fa');
  await search.press('Enter');
  await page.getByRole('link', { name: 'order-failed', exact: true }).waitFor();
  await search.fill('@stock@lamp');
  await search.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'stock / lamp' }).waitFor();
});
