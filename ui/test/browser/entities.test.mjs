import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { confirm, message } from './support/dialog.mjs';
import { ask, stockOf } from './support/hub.mjs';
import { until } from './support/until.mjs';

const panel = (page) => page.getByRole('region', { name: 'Operations' });
const answer = (page) => page.locator('[data-test=answer]');

check('a call shows the answer, and the state follows', async ({ page, goto }) => {
  await goto('#/entities/stock/lamp');
  await panel(page).getByLabel('Operation').selectOption('put');
  await panel(page).getByLabel('n (JSON)').fill('11');
  await panel(page).getByRole('button', { name: 'Call' }).click();
  await answer(page).getByText('111').waitFor();
  await page.getByRole('region', { name: 'State' }).getByText('{"free":111}').waitFor();
});

check(
  'an error of an operation is the answer',
  async ({ page, goto }) => {
    await goto('#/entities/stock/lamp');
    await panel(page).getByLabel('Operation').selectOption('take');
    await panel(page).getByLabel('n (JSON)').fill('1000');
    await panel(page).getByRole('button', { name: 'Call' }).click();
    await answer(page).getByText('insufficient stock of lamp: 100 left').waitFor();
  },
  { allow: [/status of 422/] },
);

check('a signal is sent once, and is durable before the message says so', async ({ page, goto }) => {
  await goto('#/entities/stock/lamp');
  await panel(page).getByLabel('Operation').selectOption('take');
  await panel(page).getByLabel('n (JSON)').fill('1');
  await panel(page).getByRole('button', { name: 'Signal' }).click();
  await message(page, 'The signal take is durable');
  await until(async () => (await stockOf('lamp')) === 99, '99 lamps are left');
});

check('an argument that is not JSON cannot be sent', async ({ page, goto }) => {
  await goto('#/entities/stock/lamp');
  await panel(page).getByLabel('Operation').selectOption('put');
  await panel(page).getByLabel('n (JSON)').fill('1,5');
  assert.ok(await panel(page).getByRole('button', { name: 'Call' }).isDisabled());
  assert.ok(await panel(page).getByRole('button', { name: 'Signal' }).isDisabled());
  await panel(page).getByText('Invalid JSON').waitFor();
});

check('an entity is deleted after a confirmation', async ({ page, goto }) => {
  await goto('#/entities/stock/lamp');
  await page.getByRole('button', { name: 'Delete' }).click();
  await confirm(page, 'Delete');
  await page.getByText('This entity has no state.').waitFor();
  assert.equal((await ask('GET', '/entities/stock/lamp/details')).exists, false);
});

check('the list is filtered by type and by the beginning of the key', async ({ page, goto }) => {
  await ask('POST', '/entities/stock/lamp-shade?op=put&wait=true', 3);
  await goto('#/entities');
  await page.getByRole('link', { name: 'bulb', exact: true }).waitFor();
  await page.getByRole('combobox', { name: 'Type' }).selectOption('stock');
  await page.getByRole('searchbox', { name: 'Key begins with' }).fill('lamp');
  await until(async () => (await page.getByRole('link', { name: 'bulb', exact: true }).count()) === 0, 'the bulb is gone');
  await page.getByRole('link', { name: 'lamp-shade', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'stock / lamp-shade' }).waitFor();
});

check('the entity with the empty key has a page', async ({ page, goto }) => {
  await ask('POST', '/entities/stock?op=put&wait=true', 7);
  await goto('#/entities');
  await page.getByRole('link', { name: '(empty key)' }).click();
  await page.getByRole('region', { name: 'State' }).getByText('{"free":7}').waitFor();
});
