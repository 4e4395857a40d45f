import assert from 'node:assert/strict';
import { answer, change } from './support/answers.mjs';
import { check } from './support/check.mjs';
import { PAGES, TROUBLED } from './support/addresses.mjs';
import { dialog } from './support/dialog.mjs';
import { shop } from './support/shop.mjs';
import { trouble } from './support/trouble.mjs';
import { until } from './support/until.mjs';

/** Buttons that change something. */
const CHANGING = new RegExp(
  '^(Start|Raise.*|Suspend|Resume.*|Rewind.*|Restart|Terminate|Purge|Delete|Call|Signal|Release.*|Redeliver|Drop|Cancel.*|' +
    'Trigger|Pause|Edit|New schedule|Actions on.*|Try again)$',
);

/** Returns the texts of such buttons. The one of an error only reads again. */
async function changing(page) {
  const texts = await page.locator('button:not([data-test=error] button)').allInnerTexts();
  return texts.filter((text) => CHANGING.test(text.trim()));
}

check(
  'who may only read sees no button that changes anything',
  async ({ page, context, goto }) => {
    await shop();
    await change(context, '/hub', (hub) => ({ ...hub, scope: 'read' }));
    for (const { name, address, ready } of PAGES) {
      await goto(address);
      await page.getByText('Read-only', { exact: true }).first().waitFor();
      await ready(page);
      assert.deepEqual(await changing(page), [], name);
      assert.equal(await page.getByRole('checkbox', { name: /^Select/ }).count(), 0, name);
    }
    await trouble(context);
    for (const { name, address, ready } of TROUBLED.filter(({ name }) => !name.includes('dead-letters'))) {
      await goto(address);
      await ready(page);
      assert.deepEqual(await changing(page), [], name);
    }
  },
  { allow: [/status of 404.*no-such-order/] },
);

check('a stopped hub is read-only, and says so', async ({ page, context, goto }) => {
  await change(context, '/hub', (hub) => ({ ...hub, readOnly: true, openedAt: null }));
  await goto('#/settings');
  await page.getByText('The hub is stopped. This is its directory or a backup.').waitFor();
  await page.getByText('Read-only hub').waitFor();
});

check(
  'a token is asked for once, sent with every request, and kept until the tab is closed',
  async ({ page, context, goto }) => {
    await shop();
    await guard(context, 'secret');
    await page.goto('about:blank');
    await goto('#/');
    await dialog(page).getByLabel('Token').fill('wrong');
    await dialog(page).getByRole('button', { name: 'Continue' }).click();
    await dialog(page).getByText('The server did not accept the token.').waitFor();
    await dialog(page).getByLabel('Token').fill('secret');
    await dialog(page).getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('link', { name: '2 Failed', exact: true }).waitFor();
    assert.equal(await dialog(page).count(), 0);
    await page.reload();
    await page.getByRole('link', { name: '2 Failed', exact: true }).waitFor();
    assert.equal(await dialog(page).count(), 0);
    assert.ok(!page.url().includes('secret'));
    assert.equal(await page.evaluate(() => Object.values(localStorage).includes('secret')), false);
    await goto('#/settings');
    await page.getByRole('button', { name: 'Forget the token' }).click();
    await dialog(page).getByLabel('Token').waitFor();
  },
  { allow: [/status of 401/] },
);

check(
  'without a token, the page says so and asks again on request',
  async ({ page, context, goto }) => {
    await shop();
    await guard(context, 'secret');
    await goto('#/');
    await dialog(page).waitFor();
    await page.keyboard.press('Escape');
    await dialog(page).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Enter a token' }).first().click();
    await dialog(page).getByLabel('Token').fill('secret');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: '2 Failed', exact: true }).waitFor();
  },
  { allow: [/status of 401/] },
);

check(
  'an error is shown with its text, and is gone after the next success',
  async ({ page, context, goto }) => {
    let isBroken = true;
    await answer(context, '/schedules', () =>
      isBroken ? { status: 503, body: { error: { code: 'Closing', message: 'the hub is closing' } } } : { body: [] },
    );
    await goto('#/schedules');
    await page.getByRole('alert').getByText('the hub is closing').waitFor();
    isBroken = false;
    await page.getByRole('alert').getByRole('button', { name: 'Try again' }).click();
    await page.getByText('There are no schedules').waitFor();
    await until(async () => (await page.getByRole('alert').count()) === 0, 'the error is gone');
  },
  { allow: [/status of 503/] },
);

const REFUSED = { error: { code: 'Unauthorized', message: 'the token is missing or wrong' } };

/** Requires a token, as the server does. The files of the app need none. */
async function guard(context, token) {
  await context.route(/\/durabletask\/(?!ui\/)/, (route) =>
    route.request().headers().authorization === `Bearer ${token}`
      ? route.fallback()
      : route.fulfill({ status: 401, contentType: 'application/json', body: JSON.stringify(REFUSED) }),
  );
}
