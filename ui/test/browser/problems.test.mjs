// The example has no code that stops, and no entity that is locked or quarantined, so these answers are invented.
import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { confirm } from './support/dialog.mjs';
import { trouble } from './support/trouble.mjs';
import { until } from './support/until.mjs';

const button = (page, name) => page.getByRole('main').getByRole('button', { name, exact: true });

check('a cycle of locks is drawn, and a lock is released by force', async ({ page, context, goto }) => {
  const sent = await trouble(context);
  await goto('#/locks');
  await page.getByText('A cycle:').waitFor();
  assert.equal(await page.locator('svg.graph .node.cycle').count(), 4);
  await button(page, 'Release lock').first().click();
  await confirm(page, 'Release lock');
  await until(() => sent.includes('DELETE /locks/stock/lamp'), 'the lock is released');
});

check('a quarantined entity is released', async ({ page, context, goto }) => {
  const sent = await trouble(context);
  await goto('#/problems?tab=quarantine');
  await page.getByText('cannot be decoded').waitFor();
  await button(page, 'Release').click();
  await confirm(page, 'Release');
  await until(() => sent.includes('POST /quarantine/stock/sofa/release'), 'the entity is released');
  await page.getByRole('link', { name: 'stock sofa' }).click();
  // The problems that the link leads away from also have this word.
  await page.getByRole('heading', { level: 1, name: 'stock / sofa' }).waitFor();
  await page.getByText('Quarantined').waitFor();
});

check('a dead letter is delivered again, or dropped', async ({ page, context, goto }) => {
  const sent = await trouble(context);
  await goto('#/problems?tab=dead-letters');
  await button(page, 'Redeliver').click();
  await confirm(page, 'Redeliver');
  await button(page, 'Drop').click();
  await confirm(page, 'Drop');
  await until(() => sent.length === 2, 'both are sent');
  assert.deepEqual(sent, ['POST /dead-letters/7/redeliver', 'DELETE /dead-letters/7']);
});

check('a stopped orchestration tells why and is resumed', async ({ page, context, goto }) => {
  const sent = await trouble(context);
  await goto('#/problems?tab=stopped');
  await page.getByText('diverges from the history').waitFor();
  await button(page, 'Resume').click();
  await until(() => sent.includes('POST /instances/order-a/resume'), 'it is resumed');
});

check('the overview marks what should be zero', async ({ page, context, goto }) => {
  await trouble(context);
  await goto('#/');
  for (const name of ['1 Stopped', '1 Quarantined', '1 Dead letters']) {
    assert.match(await page.getByRole('link', { name, exact: true }).getAttribute('class'), /alarm/);
  }
});

check('an entity shows its lock, its queue and its scheduled signals', async ({ page, context, goto }) => {
  await trouble(context);
  await goto('#/entities/stock/lamp');
  await page.getByText('Locked').waitFor();
  const queue = page.getByRole('region', { name: 'Waiting messages' });
  await queue.getByRole('link', { name: 'order-b' }).waitFor();
  await page.getByRole('region', { name: 'Scheduled signals' }).getByText('refill').waitFor();
});
