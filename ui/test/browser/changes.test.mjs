// Pages show what changes in the hub while they are open, although they hardly poll.
import { answer } from './support/answers.mjs';
import { check } from './support/check.mjs';
import { ask, endedOrder, order, raise } from './support/hub.mjs';
import { shop } from './support/shop.mjs';

const link = (page, name) => page.getByRole('link', { name, exact: true });

check('the overview follows the orders', async ({ page, goto }) => {
  await shop();
  await goto('#/');
  await link(page, '1 Running').waitFor();
  await page.getByText('order-waiting').waitFor();
  await raise('order-waiting', 'approved', true);
  await link(page, '0 Running').waitFor();
  await page.getByText('No instance is running').waitFor();
  await order('order-late', { customer: 'Mallory' });
  await link(page, '3 Failed').waitFor();
  await link(page, '3 Failures in 24 h').waitFor();
});

check('the page of an entity follows its state', async ({ page, goto }) => {
  await goto('#/entities/stock/lamp');
  await page.getByText('"free": 100').or(page.getByText('"free":100')).first().waitFor();
  await ask('POST', '/entities/stock/lamp?op=put', 11);
  await page.getByText('"free": 111').or(page.getByText('"free":111')).first().waitFor();
});

check('the failures and the batches follow the hub', async ({ page, goto }) => {
  await goto('#/problems');
  await page.getByText('No instance has failed').waitFor();
  await endedOrder('order-failed', { customer: 'Mallory' });
  await page.getByText('1 failed').waitFor();
  await goto('#/batches');
  await page.getByRole('heading', { level: 1, name: 'Batches' }).waitFor();
  const { id } = await ask('POST', '/batches', { action: 'purge', ids: ['order-failed'] });
  await page.locator(`a[title="${id}"]`).waitFor();
});

check(
  'a page shows changes also without the stream of events',
  async ({ page, context, goto }) => {
    await answer(context, '/events', () => ({ status: 501, body: { error: { code: 'NotImplemented', message: 'no events' } } }));
    await goto('#/schedules');
    const row = page.getByRole('row').filter({ hasText: 'stock-taking' });
    await row.waitFor();
    await ask('POST', '/schedules/stock-taking/pause');
    await row.getByText('Paused', { exact: true }).waitFor();
  },
  { allow: [/status of 501/] },
);

check(
  'a page polls while the hub does not tell of its commits',
  async ({ page, context, goto }) => {
    await answer(context, '/stats', () => ({ status: 503, body: { error: { code: 'Busy', message: 'busy' } } }));
    await goto('#/schedules');
    const row = page.getByRole('row').filter({ hasText: 'stock-taking' });
    await row.waitFor();
    await ask('POST', '/schedules/stock-taking/pause');
    await row.getByText('Paused', { exact: true }).waitFor();
  },
  { allow: [/status of 503/] },
);
