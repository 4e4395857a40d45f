import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { PAGES } from './support/addresses.mjs';
import { shop } from './support/shop.mjs';
import { until } from './support/until.mjs';

check(
  'an address shows the same page after a reload',
  async ({ page, goto }) => {
    await shop();
    for (const { name, address, ready } of PAGES) {
      await goto(address);
      await ready(page);
      const before = page.url();
      await page.reload();
      await ready(page).catch((error) => assert.fail(`${name}: ${error.message}`));
      assert.equal(page.url(), before);
    }
  },
  { allow: [/status of 404.*no-such-order/] },
);

check('the button "back" returns to the page before', async ({ page, goto }) => {
  await shop();
  await goto('#/');
  await page.getByRole('link', { name: '2 Failed', exact: true }).click();
  await page.getByRole('link', { name: 'order-failed', exact: true }).click();
  await page.getByRole('tab', { name: 'History' }).click();
  await page.goBack();
  await page.getByRole('tab', { name: 'Timeline', selected: true }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { level: 1, name: 'Instances' }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
});

check('the title of the window names the page', async ({ page, goto }) => {
  await shop();
  await goto('#/instances/order-done');
  await until(async () => /order-done/.test(await page.title()), 'the title has the id');
  await goto('#/entities/stock/lamp');
  await until(async () => /lamp/.test(await page.title()), 'the title has the key');
});
