// Takes the two pictures of the documentation, after orders have come in for some minutes.
//
//   node test/readme-pictures.mjs [MINUTES]     (default: 12)
//
// ABIDE_SERVICE and CHROMIUM are those of run-browser.mjs.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const repository = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const minutes = Number(process.argv[2] ?? 12);
const CUSTOMERS = ['Alice', 'Bob', 'Carol', 'Dave', 'Erin', 'Frank', 'Grace', 'Heidi', 'Ivan', 'Judy', 'Mallory'];
const WAITING = 7;
const SECONDS_OF_RATES = 70;

const data = mkdtempSync(join(tmpdir(), 'abide-pictures-'));
const service = process.env.ABIDE_SERVICE || repository('target/debug/examples/service');
const hub = spawn(service, ['--port', '0', '--data', data], { stdio: ['ignore', 'pipe', 'ignore'] });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium' });
try {
  const base = await new Promise((resolve) => {
    createInterface({ input: hub.stdout }).on('line', (line) => {
      const url = /listens at (http\S+)/.exec(line)?.[1];
      if (url) resolve(url);
    });
  });
  const end = Date.now() + minutes * 60_000;
  const orders = sell(base, end);
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', timezoneId: 'UTC' });
  await pause(end - Date.now() - SECONDS_OF_RATES * 1_000);
  await page.goto(`${base}/ui/index.html#/?range=15m`);
  await pause(end - Date.now() - 2_000);
  await page.screenshot({ path: repository('docs/src/images/overview.png') });
  const [oldest] = await orders;
  await page.goto(`${base}/ui/index.html#/instances/${oldest}`);
  await page.getByText('Why is it waiting?').waitFor();
  await page.getByText('timer', { exact: true }).first().waitFor();
  await page.screenshot({ path: repository('docs/src/images/instance.png') });
} finally {
  await browser.close();
  hub.kill('SIGINT');
  await new Promise((resolve) => hub.once('exit', resolve));
  rmSync(data, { recursive: true, force: true });
}

/** Places orders until the end. A few of them wait for an approval at any time. Returns the ids of those that still wait. */
async function sell(base, end) {
  const post = (path, body) =>
    fetch(base + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const waiting = [];
  for (let n = 4_180; Date.now() < end; n++) {
    const isLarge = n % 6 === 2;
    const order = {
      customer: CUSTOMERS[(n * 7) % CUSTOMERS.length],
      article: n % 3 === 0 ? 'lamp' : 'bulb',
      n: isLarge ? 10 + (n % 40) : 1 + (n % 5),
    };
    await post(`/entities/stock/${order.article}?op=put`, order.n);
    await post(`/orchestrators/process_order/order-${n}`, order);
    if (isLarge) waiting.push(`order-${n}`);
    // The oldest one is never approved.
    if (waiting.length > WAITING) await post(`/instances/${waiting.splice(1 + (n % (WAITING - 1)), 1)}/raiseEvent/approved`, n % 5 !== 0);
    // More at some times than at others.
    await pause(2_500 + 1_800 * Math.sin(Date.now() / 80_000));
  }
  return waiting;
}
