import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { confirm, dialog, message } from './support/dialog.mjs';
import { ask, ended, endedOrder, isStatus, raise, status, waitingOrder } from './support/hub.mjs';
import { until } from './support/until.mjs';

const button = (page, name) => page.getByRole('button', { name, exact: true });
const nameIs = (page, wanted) =>
  until(async () => (await dialog(page).getByLabel('Name of the event').inputValue()) === wanted, `the name is '${wanted}'`);
const shows = (page, text) => page.locator('header').getByText(text, { exact: true }).waitFor();

check('an orchestration is started with an id and an input, once per key', async ({ page, goto }) => {
  await goto('#/instances');
  await button(page, 'Start').click();
  await dialog(page).getByLabel('Type').selectOption('process_order');
  await dialog(page).getByLabel('Id', { exact: true }).fill('order-typed');
  await dialog(page).getByLabel('Input (JSON)').fill('{"customer": "Alice", "article": "lamp", "n": ');
  assert.ok(await dialog(page).getByRole('button', { name: 'Start' }).isDisabled(), 'invalid JSON cannot be sent');
  await dialog(page).getByLabel('Input (JSON)').fill('{"customer": "Alice", "article": "lamp", "n": 3}');
  await confirm(page, 'Start');
  await page.getByRole('heading', { level: 1, name: 'order-typed' }).waitFor();
  await shows(page, 'Completed');
  assert.deepEqual((await status('order-typed')).output, { paid_cents: 4500, left_in_stock: 97 });
});

check(
  'an error of a start is shown in its dialog, which keeps what was typed',
  async ({ page, goto }) => {
    await waitingOrder('order-1');
    await goto('#/instances');
    await button(page, 'Start').click();
    await dialog(page).getByLabel('Id', { exact: true }).fill('order-1');
    await dialog(page).getByLabel('Input (JSON)').fill('{"customer": "Alice", "article": "lamp", "n": 3}');
    await dialog(page).getByRole('button', { name: 'Start', exact: true }).click();
    await dialog(page).getByRole('alert').getByText('order-1').waitFor();
    assert.equal(await dialog(page).getByLabel('Id', { exact: true }).inputValue(), 'order-1');
    await page.keyboard.press('Escape');
    await dialog(page).waitFor({ state: 'detached' });
    assert.ok(await isStatus('order-1', 'Running'));
  },
  { allow: [/status of 409/] },
);

check('an event is raised with its payload', async ({ page, goto }) => {
  await waitingOrder('order-1');
  await goto('#/instances/order-1');
  await button(page, 'Raise event').click();
  await nameIs(page, 'approved');
  await dialog(page).getByLabel('Payload').fill('false');
  await confirm(page, 'Raise event');
  await message(page, 'Event approved raised');
  await page.getByText('Why did it fail?').waitFor();
  await shows(page, 'Failed');
  assert.equal((await status('order-1')).failure.message, 'the order was not approved');
});

check('the awaited event is offered also when the report arrives late, unless a name was typed', async ({ context, page, goto }) => {
  await waitingOrder('order-1');
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await context.route(/\/order-1\/waiting/, (route) => held.then(() => route.continue()));
  await goto('#/instances/order-1');
  await button(page, 'Raise event').click();
  await nameIs(page, '');
  release();
  await nameIs(page, 'approved');
  await dialog(page).getByLabel('Name of the event').fill('');
  await dialog(page).getByLabel('Payload').fill('true');
  await nameIs(page, '');
});

check('it is suspended with a reason and resumed', async ({ page, goto }) => {
  await waitingOrder('order-1');
  await goto('#/instances/order-1');
  await button(page, 'Suspend').click();
  await dialog(page).getByLabel('Reason (optional)').fill('the shop is closed');
  await confirm(page, 'Suspend');
  await shows(page, 'Suspended');
  await page.getByText('Reason: the shop is closed.').waitFor();
  await until(() => isStatus('order-1', 'Suspended'));
  await button(page, 'Resume').click();
  await confirm(page, 'Resume');
  await shows(page, 'Running');
  await until(() => isStatus('order-1', 'Running'));
});

check('it is terminated only after a confirmation', async ({ page, goto }) => {
  await waitingOrder('order-1');
  await goto('#/instances/order-1');
  await button(page, 'Terminate').click();
  await dialog(page).getByRole('button', { name: 'Cancel', exact: true }).click();
  await dialog(page).waitFor({ state: 'detached' });
  assert.ok(await isStatus('order-1', 'Running'));
  await button(page, 'Terminate').click();
  await dialog(page).getByLabel('Reason (optional)').fill('a mistake');
  await confirm(page, 'Terminate');
  await page.getByText('A client terminated it. Reason: a mistake').waitFor();
  await shows(page, 'Terminated');
  assert.equal(await button(page, 'Terminate').count(), 0, 'what has ended cannot be terminated');
});

check('it is rewound after its cause is gone, and completes', async ({ page, goto }) => {
  await endedOrder('order-1', { article: 'chair', n: 2 });
  await goto('#/instances/order-1');
  await page.getByText('insufficient stock of chair').first().waitFor();
  await ask('POST', '/entities/stock/chair?op=put&wait=true', 5);
  await button(page, 'Rewind').click();
  await confirm(page, 'Rewind');
  await shows(page, 'Completed');
  assert.equal((await status('order-1')).output.left_in_stock, 3);
});

check('it is restarted under a new id with an edited input', async ({ page, goto }) => {
  await endedOrder('order-1', { customer: 'Mallory', n: 2 });
  await goto('#/instances/order-1');
  await button(page, 'Restart').click();
  const input = dialog(page).getByLabel('Input');
  assert.deepEqual(JSON.parse(await input.inputValue()), { customer: 'Mallory', article: 'bulb', n: 2 });
  await input.fill('{"customer": "Alice", "article": "bulb", "n": 4}');
  await confirm(page, 'Restart');
  await shows(page, 'Completed');
  const id = await page.getByRole('heading', { level: 1 }).innerText();
  assert.notEqual(id, 'order-1');
  assert.equal((await status(id)).output.paid_cents, 6000);
  assert.ok(await isStatus('order-1', 'Failed'));
});

check('it is restarted under the same id only after it has ended', async ({ page, goto }) => {
  await waitingOrder('order-1', { article: 'lamp', n: 10 });
  await goto('#/instances/order-1');
  await button(page, 'Restart').click();
  assert.ok(await dialog(page).getByRole('radio', { name: /The same id/ }).isDisabled());
  await page.keyboard.press('Escape');
  await raise('order-1', 'approved', true);
  await shows(page, 'Completed');
  const { executionId } = await status('order-1');
  await button(page, 'Restart').click();
  await dialog(page).getByRole('radio', { name: /The same id/ }).check();
  await confirm(page, 'Restart');
  await page.getByText('Why is it waiting?').waitFor();
  assert.notEqual((await status('order-1')).executionId, executionId);
});

check(
  'it is purged, and the list no longer has it',
  async ({ page, goto }) => {
    await endedOrder('order-1');
    await endedOrder('order-2');
    await goto('#/instances/order-1');
    await button(page, 'Purge').click();
    await confirm(page, 'Purge');
    await page.getByRole('heading', { level: 1, name: 'Instances' }).waitFor();
    await page.getByRole('link', { name: 'order-2', exact: true }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'order-1', exact: true }).count(), 0);
  },
  // The page may be reading the order at the moment at which it is purged.
  { allow: [/status of 404.*order-1/] },
);

check('the page follows what others do', async ({ page, goto }) => {
  await waitingOrder('order-1');
  await goto('#/instances/order-1');
  await page.getByText('Why is it waiting?').waitFor();
  await raise('order-1', 'approved', true);
  await shows(page, 'Completed');
  await until(async () => (await page.getByText('Why is it waiting?').count()) === 0, 'the panel is gone');
});

check('time travel shows each turn, and the replay matches', async ({ page, goto }) => {
  await waitingOrder('order-1');
  await raise('order-1', 'approved', true);
  await ended('order-1');
  await goto('#/instances/order-1?tab=travel');
  const panel = page.getByRole('region', { name: 'Open after this turn' });
  await panel.getByText('No step.').waitFor();
  await page.getByRole('button', { name: 'Previous turn' }).click();
  await panel.getByText('take_payment').waitFor();
  await panel.getByText(/service\.rs:\d+/).waitFor();
  await panel.getByText('"paying"').waitFor();
  await page.getByRole('button', { name: 'Previous turn' }).click();
  await panel.getByText('approved').waitFor();
  await page.getByRole('button', { name: 'Check replay' }).click();
  await page.getByText('It replays.').waitFor();
});

check('the history is searched, and an event shows its payload', async ({ page, goto }) => {
  await endedOrder('order-1', { customer: 'Zoe', n: 3 });
  await goto('#/instances/order-1?tab=history');
  const list = page.getByRole('listbox', { name: 'History' });
  await list.getByText('Activity completed').first().waitFor();
  await page.getByRole('searchbox', { name: 'Search the history' }).fill('4500');
  await page.getByText(/^2 of \d+ events$/).waitFor();
  await list.locator('.i-event').getByText('Activity completed').first().click();
  await page.getByRole('complementary', { name: 'Chosen event' }).getByText('4500').waitFor();
  await page.getByRole('button', { name: 'Close the details' }).click();
  await page.getByRole('combobox', { name: 'Kind of events' }).selectOption('Failures');
  await page.getByText('No event matches').waitFor();
});
