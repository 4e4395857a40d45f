// Times depend on the machine, so their limits hold only where CI is not set.
import assert from 'node:assert/strict';
import { check } from './support/check.mjs';
import { longHistory, longList } from './support/long.mjs';
import { shop } from './support/shop.mjs';
import { until } from './support/until.mjs';

const LONGEST_FRAME_MS = 250;
const FIRST_PAINT_MS = 300;
const ATTEMPTS = 3;

/** Requires a time to be below a limit in one of a few attempts: another program may disturb one. */
async function atMost(limit, what, measure) {
  const times = [];
  for (let attempt = 0; attempt < (process.env.CI ? 1 : ATTEMPTS); attempt++) {
    times.push(await measure());
    if (times.at(-1) <= limit) break;
  }
  console.log(`# ${what}: ${times.map((time) => Math.round(time)).join(', ')} ms of at most ${limit}`);
  if (!process.env.CI) assert.ok(times.at(-1) <= limit, `${what}: ${times.join(', ')} ms`);
}

/** Scrolls a list by its full length in steps, and returns the longest time between two frames. */
function scrolled(list, step) {
  return list.evaluate(
    (element, step) =>
      new Promise((resolve) => {
        let longest = 0;
        let last = performance.now();
        let frames = 0;
        const frame = (now) => {
          longest = Math.max(longest, now - last);
          last = now;
          element.scrollTop += step;
          frames += 1;
          if (frames < 120) requestAnimationFrame(frame);
          else resolve(longest);
        };
        requestAnimationFrame(frame);
      }),
    step,
  );
}

check('a history of 50,000 events scrolls and is searched fluently', async ({ page, context, goto }) => {
  await longHistory(context, 50_000);
  await goto('#/instances/order-long?tab=history');
  await page.getByText('50,000 events', { exact: true }).waitFor({ timeout: 30_000 });
  const list = page.getByRole('listbox', { name: 'History' });
  await atMost(LONGEST_FRAME_MS, 'frame of the history', () => scrolled(list, 7_000));
  await list.focus();
  await page.keyboard.press('End');
  await list.getByText('Execution completed').first().waitFor();
  assert.ok((await list.getByRole('option').count()) < 100, 'only visible rows are rendered');
  await page.getByRole('searchbox', { name: 'Search the history' }).fill('declined');
  await page.getByText(/^(499|500) of 50,000 events$/).waitFor();

  await page.getByRole('tab', { name: 'Timeline' }).click();
  const steps = page.getByRole('listbox', { name: 'Steps' });
  await steps.getByText('take_payment_1').first().waitFor();
  await page.getByRole('group', { name: 'Level of detail' }).getByRole('button', { name: 'Steps' }).click();
  await until(async () => (await steps.getByRole('option').count()) > 10, 'the steps are shown');
  await atMost(LONGEST_FRAME_MS, 'frame of the timeline', () => scrolled(steps, 3_000));

  await page.getByRole('tab', { name: 'Messages' }).click();
  const messages = page.getByRole('listbox', { name: 'Messages' });
  await messages.getByRole('option').first().waitFor();
  await atMost(LONGEST_FRAME_MS, 'frame of the messages', () => scrolled(messages, 7_000));
});

check('a list of 200,000 instances scrolls fluently and loads what it shows', async ({ page, context, goto }) => {
  await longList(context, 200_000);
  await goto('#/instances');
  await page.getByText(/of 200,000/).first().waitFor();
  const list = page.getByRole('grid', { name: 'Instances' });
  await atMost(LONGEST_FRAME_MS, 'frame of the list', () => scrolled(list, 2_000));
  await list.evaluate((element) => (element.scrollTop = element.scrollHeight));
  await until(async () => (await list.getByText(/^order-\d{7}$/).count()) > 5, 'the rows are loaded');
  assert.ok((await list.getByRole('row').count()) < 100, 'only visible rows are rendered');
});

check('the overview is painted quickly', async ({ page, goto }) => {
  await shop();
  await atMost(FIRST_PAINT_MS, 'first contentful paint', async () => {
    await goto('#/');
    return until(() => page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime), 'it is painted');
  });
});
