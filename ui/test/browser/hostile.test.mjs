// What comes from programs and clients is shown as text, whatever it contains.
import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { answer } from './support/answers.mjs';
import { ask, order, raise, waitingOrder } from './support/hub.mjs';
import { until } from './support/until.mjs';

const HOSTILE = [
  '<img src=x onerror="window.pwned=1">',
  '</script><script>window.pwned=1</script>',
  'javascript:alert(1)',
  '"><svg onload=window.pwned=1>',
  '{{constructor.constructor("window.pwned=1")()}}',
  '\u202eright to left\u202c \u05d0\u05d1\u05d2 \u0627\u0644\u0639',
  'null\u0000byte, bell\u0007, escape\u001b[31m',
  `${'long '.repeat(2_000)}end`,
  'x'.repeat(20_000),
  '\ud83d\ude00\u0300\u0301 \ufeff',
];

const DEEP = Array.from({ length: 50 }).reduce((inner) => ({ inner: [inner] }), 'bottom');

/** Ids with everything that the API allows in one. */
const IDS = [
  '<img src=x onerror=pwned=1>',
  '<script>pwned=1<script>',
  'a b&c=d"e\'f`g',
  '100%25 %zz',
  '\u202eedis',
  '__proto__',
  'y'.repeat(200),
];

/** The end of a long text is cut off, so that only its start can be clicked. */
const START = { position: { x: 4, y: 4 } };

async function assertHarmless(page) {
  assert.equal(await page.evaluate('window.pwned'), undefined);
  assert.equal(await page.locator('#main :is(img, script, iframe, object, embed)').count(), 0);
  assert.equal(await page.locator('a[href^="javascript:"]').count(), 0);
  assert.equal(await page.locator('[data-test=broken]').count(), 0);
}

/** The layout holds: the page does not scroll sideways. */
async function assertFits(page, what) {
  const [width, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width <= window, `${what} is ${width} pixels wide`);
}

check('hostile payloads are text on every tab', async ({ page, goto }) => {
  await waitingOrder('order-1');
  for (const text of HOSTILE) await raise('order-1', 'other', { [text.slice(0, 200)]: text });
  await raise('order-1', 'deep', DEEP);
  await until(async () => (await ask('GET', '/instances/order-1/waiting')).unreadEvents?.some(({ name }) => name === 'deep'));
  for (const tab of ['history', 'timeline', 'travel', 'data', 'messages']) {
    await goto(`#/instances/order-1?tab=${tab}`);
    await page.getByRole('tab', { name: /.*/, selected: true }).waitFor();
    await page.getByText('It has received events that it has not read').waitFor();
    await assertHarmless(page);
    await assertFits(page, tab);
  }
  const history = await ask('GET', '/instances/order-1/history');
  for (const [at, event] of history.entries()) {
    if (event.event !== 'EventRaised') continue;
    await goto(`#/instances/order-1?tab=history&event=${at}`);
    const shown = await page.locator('[data-test=details] pre').first().textContent();
    const whole = JSON.stringify(event.payload, null, 2);
    assert.ok([whole, JSON.stringify(event.payload), whole.slice(0, 20_000)].includes(shown), `payload ${at} is shown as it is`);
    await assertHarmless(page);
    await assertFits(page, `payload ${at}`);
  }
});

check('hostile customers are text in failures and groups of failures', async ({ page, goto }) => {
  for (const [at, text] of HOSTILE.entries()) {
    await order(`order-${at}`, { article: text.replace(/[/\\#?\u0000-\u001f]/g, ' ').trim().slice(0, 100) });
  }
  await until(async () => (await ask('GET', '/instances?runtimeStatus=Failed')).length === HOSTILE.length, 'all have failed');
  for (const address of ['#/problems', '#/instances', '#/instances/order-0', '#/instances/order-1?tab=data']) {
    await goto(address);
    await page.getByText('insufficient stock').first().waitFor();
    await assertHarmless(page);
    await assertFits(page, address);
  }
});

check('hostile ids lead to their own pages', async ({ page, goto }) => {
  for (const id of IDS) await waitingOrder(id);
  await goto('#/');
  await page.getByRole('region', { name: 'Waiting longest' }).getByRole('link').first().waitFor();
  await assertHarmless(page);
  await assertFits(page, 'the overview');
  for (const id of IDS) {
    await goto('#/instances');
    await page.getByRole('grid').getByRole('link', { name: id, exact: true }).click(START);
    await page.getByText('Why is it waiting?').waitFor();
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), id);
    await assertHarmless(page);
    await assertFits(page, id);
    await page.reload();
    await page.getByText('Why is it waiting?').waitFor();
  }
});

check('hostile keys and states of entities are text', async ({ page, goto }) => {
  for (const key of IDS) await ask('POST', `/entities/stock/${encodeURIComponent(key)}?op=put&wait=true`, 1);
  for (const key of IDS) {
    await goto('#/entities');
    await page.getByRole('grid').getByRole('link', { name: key, exact: true }).click(START);
    await page.getByRole('region', { name: 'State' }).getByText('{"free":1}').waitFor();
    await assertHarmless(page);
    await assertFits(page, key);
  }
});

check('hostile names of events, labels and tags are text', async ({ page, context, goto }) => {
  const [image, script] = HOSTILE;
  await waitingOrder('order-1');
  const status = await ask('GET', '/instances/order-1');
  const waiting = await ask('GET', '/instances/order-1/waiting');
  const history = await ask('GET', '/instances/order-1/history');
  for (const step of waiting.steps) Object.assign(step, { label: image, source: script, name: step.name && image });
  for (const event of history) {
    event.label = script;
    if (event.step?.name) event.step.name = image;
  }
  Object.assign(status, { name: image, tags: { [image]: script }, customStatus: { [script]: image } });
  await answer(context, '/instances/order-1', () => ({ body: status }));
  await answer(context, '/instances/order-1/waiting', () => ({ body: waiting }));
  await answer(context, '/instances/order-1/history', () => ({ body: history }));
  for (const tab of ['timeline', 'history', 'travel', 'messages']) {
    await goto(`#/instances/order-1?tab=${tab}`);
    await page.getByText('Why is it waiting?').waitFor();
    await page.getByText(image).first().waitFor();
    await assertHarmless(page);
    await assertFits(page, tab);
  }
});

check(
  'addresses that no link has do not break the page',
  async ({ page, goto }) => {
    const query = 'status=<img>&since=%00&cols=__proto__,constructor';
    const odd = ['%zz', 'instances/%E0%A4%A', 'nothing', `instances?${query}`, 'problems?tab=__proto__'];
    for (const address of odd) {
      await goto(`#/${address}`);
      await assertHarmless(page);
    }
  },
  { allow: [/status of 40[04]/] },
);
