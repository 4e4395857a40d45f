import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { endedOrder, status } from './support/hub.mjs';
import { until } from './support/until.mjs';

const pick = (page, group, name) => page.getByRole('group', { name: group }).getByRole('button', { name }).click();
const theme = (page) => page.evaluate(() => document.documentElement.dataset.theme);
const background = (page) => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);

check('times follow the chosen zone, also after a reload', async ({ page, goto }) => {
  await endedOrder('order-1');
  const utc = new Date((await status('order-1')).createdTime);
  const text = (date) => date.toISOString().slice(0, 19).replace('T', ' ');
  // The browser of the tests is in Berlin.
  const berlin = new Date(utc.toLocaleString('sv-SE', { timeZone: 'Europe/Berlin' }).replace(' ', 'T') + 'Z');
  await goto('#/instances/order-1');
  await page.getByText(text(berlin)).first().waitFor();
  await goto('#/settings');
  await page.getByRole('button', { name: 'Local (Europe/Berlin)' }).waitFor();
  await pick(page, 'Time zone', 'UTC');
  await goto('#/instances/order-1');
  await page.getByText(text(utc)).first().waitFor();
  assert.equal(await page.getByText(text(berlin)).count(), 0);
});

check('the theme is chosen and remembered, and follows the system otherwise', async ({ page, goto }) => {
  await goto('#/settings');
  const light = await background(page);
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.notEqual(await background(page), light);
  await page.emulateMedia({ colorScheme: 'light' });
  await pick(page, 'Theme', 'Dark');
  assert.equal(await theme(page), 'dark');
  const dark = await background(page);
  assert.notEqual(dark, light);
  await page.reload();
  await page.getByRole('heading', { level: 1 }).waitFor();
  assert.equal(await background(page), dark);
});

check('shortcuts can be switched off', async ({ page, goto }) => {
  await goto('#/settings');
  await pick(page, 'Keyboard shortcuts', 'Off');
  await page.getByRole('heading', { level: 1 }).click();
  for (const key of ['g', 'i', '?', '/']) await page.keyboard.press(key);
  assert.ok(page.url().endsWith('#/settings'));
  assert.equal(await page.getByRole('dialog').count(), 0);
  await pick(page, 'Keyboard shortcuts', 'On');
  await page.keyboard.press('g');
  await page.keyboard.press('i');
  await page.getByRole('heading', { level: 1, name: 'Instances' }).waitFor();
});

check('letters in an input are no shortcuts', async ({ page, goto }) => {
  await goto('#/instances');
  await page.getByRole('searchbox', { name: 'Id begins with' }).fill('');
  await page.keyboard.type('ge?/');
  await until(() => /prefix=ge/.test(page.url()), 'the prefix is in the address');
});

check('the settings show the health and the code of the hub', async ({ page, goto }) => {
  await goto('#/settings');
  await until(async () => /healthy|ok/i.test(await page.locator('[data-test=health]').innerText()), 'the hub is healthy');
  const code = page.getByRole('region', { name: 'Registered code' });
  for (const name of ['process_order', 'take_stock', 'take_payment', 'stock']) {
    await code.getByRole('link', { name, exact: true }).waitFor();
  }
  await page.getByRole('region', { name: 'Statistics' }).getByText('Commits').waitFor();
});
