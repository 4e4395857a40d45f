import assert from 'node:assert/strict';
import { answer } from './support/answers.mjs';
import { check } from './support/check.mjs';
import { confirm, dialog, message } from './support/dialog.mjs';
import { ask, endedOrder, isStatus, stockOf, waitingOrder } from './support/hub.mjs';
import { until } from './support/until.mjs';

const orders = (prefix, n) =>
  Promise.all(Array.from({ length: n }, (_, at) => waitingOrder(`${prefix}-${at}`, { article: `shelf-${at % 4}` })));
const stock = () => Promise.all([0, 1, 2, 3].map((at) => ask('POST', `/entities/stock/shelf-${at}?op=put&wait=true`, 1_000)));

check('an action on the selection concerns only the selection', async ({ page, goto }) => {
  await stock();
  await orders('order', 3);
  await goto('#/instances');
  await page.getByRole('checkbox', { name: 'Select order-0' }).check();
  await page.getByRole('checkbox', { name: 'Select order-2' }).check();
  await page.getByRole('button', { name: 'Actions on 2 selected…' }).click();
  await dialog(page).getByLabel('Action').selectOption('suspend');
  await dialog(page).getByLabel('Reason').fill('checked');
  await confirm(page, 'Suspend');
  await page.getByRole('link', { name: 'Show its progress' }).click();
  const report = page.getByRole('region', { name: 'Suspend of 2 instances' });
  await report.getByText('Completed').waitFor();
  assert.ok(await isStatus('order-0', 'Suspended'));
  assert.ok(await isStatus('order-1', 'Running'));
  assert.ok(await isStatus('order-2', 'Suspended'));
});

check('an event is raised for all that match the filter', async ({ page, goto }) => {
  await stock();
  await orders('order', 4);
  await orders('other', 1);
  await goto('#/instances?prefix=order-');
  await page.getByRole('button', { name: 'Actions on all (4)…' }).click();
  await dialog(page).getByLabel('Action').selectOption('raiseEvent');
  await dialog(page).getByText('all instances that match the filter, 4 now').waitFor();
  await dialog(page).getByLabel('Name of the event').fill('approved');
  await dialog(page).getByLabel('Payload (JSON)').fill('true');
  await confirm(page, 'Raise event');
  await message(page, 'The batch is running');
  await until(() => isStatus('order-3', 'Completed'));
  await until(() => isStatus('order-0', 'Completed'));
  assert.ok(await isStatus('other-0', 'Running'));
  assert.ok((await stockOf('shelf-0')) < 1_000);
});

check('the report tells what was skipped', async ({ page, goto }) => {
  await endedOrder('order-1');
  await endedOrder('order-2');
  await goto('#/instances');
  await page.getByRole('grid').getByRole('link', { name: 'order-2', exact: true }).waitFor();
  await page.getByRole('checkbox', { name: 'Select all loaded instances' }).check();
  await page.getByRole('button', { name: 'Actions on 2 selected…' }).click();
  await dialog(page).getByLabel('Action').selectOption('terminate');
  await confirm(page, 'Terminate');
  await page.getByRole('link', { name: 'Show its progress' }).click();
  await page.getByRole('img', { name: '0 done, 2 skipped, 0 failed of 2' }).first().waitFor();
});

check('a purge by a filter is in the list of batches', async ({ page, goto }) => {
  await Promise.all(Array.from({ length: 5 }, (_, at) => endedOrder(`order-${at}`)));
  await goto('#/instances?status=Completed');
  await page.getByRole('button', { name: 'Actions on all (5)…' }).click();
  await dialog(page).getByLabel('Action').selectOption('purge');
  await confirm(page, 'Purge');
  await page.getByRole('link', { name: 'Batches' }).click();
  const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'Purge', exact: true }) }).first();
  await row.getByText('Completed').waitFor();
  assert.deepEqual(await ask('GET', '/instances'), []);
});

check('a failed group is rewound as a whole', async ({ page, goto }) => {
  await endedOrder('order-1', { article: 'chair', n: 1 });
  await endedOrder('order-2', { article: 'chair', n: 2 });
  await ask('POST', '/entities/stock/chair?op=put&wait=true', 10);
  await goto('#/problems');
  const group = page.getByRole('region', { name: /SoldOut in process_order/ });
  await group.getByText('2 failed').waitFor();
  await group.getByRole('button', { name: 'Rewind all' }).click();
  await confirm(page, 'Rewind all');
  await until(() => isStatus('order-1', 'Completed'));
  await until(() => isStatus('order-2', 'Completed'));
});

check('a running batch is canceled', async ({ page, context, goto }) => {
  // No batch of the example lasts until somebody clicks, so this one is invented.
  const batch = { id: 'b1', action: 'restart', matched: 3_000, succeeded: 40, skipped: 0, failed: 0, errors: [] };
  const startedAt = new Date().toISOString();
  let ended = { state: 'running' };
  await answer(context, '/batches', () => ({ body: [{ ...batch, startedAt, ...ended }] }));
  await answer(context, '/batches/b1', (_, request) => {
    if (request.method() === 'DELETE') ended = { state: 'canceled', endedAt: new Date().toISOString() };
    return { body: { ...batch, startedAt, ...ended } };
  });
  await goto('#/batches');
  const row = page.getByRole('row').filter({ has: page.getByTitle('b1') });
  await row.getByText('Running').waitFor();
  await row.getByRole('button', { name: 'Cancel batch' }).click();
  await confirm(page, 'Cancel batch');
  await row.getByText('Canceled').waitFor();
  await row.getByRole('img', { name: '40 done, 0 skipped, 0 failed of 3,000' }).waitFor();
  assert.equal(await row.getByRole('button', { name: 'Cancel batch' }).count(), 0);
});
