import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { confirm, dialog, message } from './support/dialog.mjs';
import { ask, ended, status } from './support/hub.mjs';
import { until } from './support/until.mjs';

const rowOf = (page, id) => page.getByRole('row').filter({ has: page.getByRole('cell', { name: id, exact: true }) });
const schedule = async (id) => (await ask('GET', '/schedules')).find((one) => one.id === id);

check('a schedule is created, changed and deleted', async ({ page, goto }) => {
  await goto('#/schedules');
  await page.getByRole('button', { name: 'New schedule' }).click();
  await dialog(page).getByLabel('Id', { exact: true }).fill('nightly');
  await dialog(page).getByLabel('Orchestration').fill('take_stock');
  await dialog(page).getByLabel('Cron pattern', { exact: true }).fill('30 2 * * *');
  await dialog(page).getByLabel('Input (JSON)').fill('["lamp"]');
  await dialog(page).getByLabel('Tags').fill('team=stock');
  await dialog(page).getByLabel('Create it paused').check();
  await confirm(page, 'Save');
  await rowOf(page, 'nightly').getByText('Paused').waitFor();
  const created = await schedule('nightly');
  assert.deepEqual([created.cron, created.input, created.tags, created.paused], ['30 2 * * *', ['lamp'], { team: 'stock' }, true]);

  await rowOf(page, 'nightly').getByRole('button', { name: 'Edit' }).click();
  assert.equal(await dialog(page).getByLabel('Input (JSON)').inputValue(), '[\n  "lamp"\n]');
  await dialog(page).getByLabel('Recurrence').selectOption('every');
  await dialog(page).getByLabel('Seconds between two runs').fill('90');
  await confirm(page, 'Save');
  await rowOf(page, 'nightly').getByText('every 1 min 30 s').waitFor();
  const changed = await schedule('nightly');
  assert.deepEqual([changed.everySeconds, changed.cron ?? null, changed.input, changed.paused], [90, null, ['lamp'], true]);

  await rowOf(page, 'nightly').getByRole('button', { name: 'Delete' }).click();
  await confirm(page, 'Delete');
  await until(async () => (await rowOf(page, 'nightly').count()) === 0, 'the row is gone');
  assert.equal(await schedule('nightly'), undefined);
});

check('a schedule is paused and resumed', async ({ page, goto }) => {
  await goto('#/schedules');
  const row = rowOf(page, 'stock-taking');
  await row.getByRole('button', { name: 'Pause' }).click();
  await row.getByText('Paused').waitFor();
  assert.equal((await schedule('stock-taking')).paused, true);
  await row.getByRole('button', { name: 'Resume' }).click();
  await row.getByRole('button', { name: 'Pause' }).waitFor();
  assert.equal((await schedule('stock-taking')).paused, false);
});

check('a schedule is triggered, and its run is one click away', async ({ page, goto }) => {
  await goto('#/schedules');
  await rowOf(page, 'stock-taking').getByRole('button', { name: 'Trigger' }).click();
  await confirm(page, 'Trigger');
  await message(page, 'Started');
  await page.locator('[data-test=toasts]').getByRole('link').click();
  await page.locator('header').getByText('Completed').waitFor();
  const id = await page.getByRole('heading', { level: 1 }).innerText();
  await ended(id);
  assert.equal((await status(id)).output, 350);
});

check(
  'an invalid pattern is refused in the dialog',
  async ({ page, goto }) => {
    await goto('#/schedules');
    await page.getByRole('button', { name: 'New schedule' }).click();
    await dialog(page).getByLabel('Id', { exact: true }).fill('wrong');
    await dialog(page).getByLabel('Orchestration').fill('take_stock');
    await dialog(page).getByLabel('Cron pattern', { exact: true }).fill('99 99 * * *');
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await dialog(page).getByRole('alert').waitFor();
    assert.equal(await schedule('wrong'), undefined);
  },
  { allow: [/status of 400/] },
);
