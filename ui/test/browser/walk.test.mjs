// The walk of docs/src/dashboard.md, from the overview to the approval of an order.
import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { confirm, dialog } from './support/dialog.mjs';
import { order, stockOf } from './support/hub.mjs';
import { until } from './support/until.mjs';

const start = () => order('order-1', { customer: 'Carol', article: 'lamp', n: 40 });
const completed = (page) => page.locator('header').getByText('Completed', { exact: true }).waitFor();

check('an order is found on the overview, explained, and approved by mouse', async ({ page, goto }) => {
  await start();
  await goto('#/');
  const oldest = page.getByRole('region', { name: 'Waiting longest' });
  await oldest.getByText('approved').waitFor();
  await oldest.getByRole('link', { name: 'order-1' }).click();

  const why = page.getByRole('region', { name: 'Why is it waiting?' });
  await why.getByText(/It waits until someone raises the event approved, or until a timer fires in 2[34] h/).waitFor();
  await why.getByText('waiting for the event `approved`, true or false').waitFor();
  assert.equal(await why.getByText(/examples\/service\.rs:\d+:\d+/).count(), 2);

  await why.getByRole('button', { name: 'Raise it' }).click();
  assert.equal(await dialog(page).getByLabel('Name of the event').inputValue(), 'approved');
  await dialog(page).getByRole('button', { name: 'true', exact: true }).click();
  await confirm(page, 'Raise event');
  await completed(page);
  await why.waitFor({ state: 'detached' });

  await page.getByRole('tab', { name: 'Timeline' }).click();
  await page.getByRole('listbox', { name: 'Steps' }).getByText('take_payment').first().waitFor();
  await page.getByRole('tab', { name: 'Time travel' }).click();
  await page.getByText('Open after this turn').waitFor();

  const search = page.getByRole('searchbox', { name: /Find an instance/ });
  await search.fill('@stock@lamp');
  await search.press('Enter');
  await page.getByRole('region', { name: 'State' }).getByText('{"free":60}').waitFor();
  assert.equal(await stockOf('lamp'), 60);
});

check('the same by keyboard alone', async ({ page, goto }) => {
  const { keyboard } = page;
  await start();
  await goto('#/');
  await page.getByRole('link', { name: 'order-1' }).waitFor();
  await tabTo(page, 'order-1');
  await keyboard.press('Enter');
  await page.getByRole('button', { name: 'Raise it' }).waitFor();
  await tabTo(page, 'Raise it');
  await keyboard.press('Enter');
  await dialog(page).waitFor();
  await tabTo(page, 'true');
  await keyboard.press('Space');
  await tabTo(page, 'Raise event');
  await keyboard.press('Enter');
  await dialog(page).waitFor({ state: 'detached' });
  await completed(page);

  await tabTo(page, 'Timeline');
  await keyboard.press('ArrowRight');
  await page.getByRole('tab', { name: 'History', selected: true }).waitFor();
  await keyboard.press('ArrowRight');
  await page.getByText('Open after this turn').waitFor();

  await keyboard.press('/');
  await keyboard.type('@stock@lamp');
  await keyboard.press('Enter');
  await page.getByRole('region', { name: 'State' }).getByText('{"free":60}').waitFor();
});

check('lists are read by keyboard', async ({ page, goto }) => {
  const { keyboard } = page;
  for (const id of ['a', 'b', 'c']) await order(`order-${id}`);
  await goto('#/instances');
  await page.getByRole('link', { name: 'order-c', exact: true }).waitFor();
  await page.getByRole('grid', { name: 'Instances' }).focus();
  await keyboard.press('j');
  await keyboard.press('Space');
  await page.getByRole('button', { name: 'Actions on 1 selected…' }).waitFor();
  const chosen = await page.locator('[role=row][aria-selected=true]').innerText();
  const id = /order-\w/.exec(chosen)[0];
  await keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: id }).waitFor();
});

check('the list of the shortcuts opens and closes by keyboard, and returns the focus', async ({ page, goto }) => {
  await goto('#/settings');
  await page.getByRole('link', { name: 'Overview' }).focus();
  await page.keyboard.press('?');
  await dialog(page).getByText('Go to Instances').waitFor();
  await page.keyboard.press('Escape');
  await dialog(page).waitFor({ state: 'detached' });
  assert.equal(await focused(page), 'Overview');
});

/** Presses Tab until the element with a text or name has the focus. */
async function tabTo(page, name) {
  await until(async () => {
    await page.keyboard.press('Tab');
    return (await focused(page)) === name;
  }, `the focus reaches ${name}`);
}

function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    return element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? '';
  });
}
