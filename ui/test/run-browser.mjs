// Runs the browser tests. They share one process of the order service, which stores its data in a temporary directory.
//
//   node test/run-browser.mjs [WORD…]     all tests, or those of the files whose names contain one of the words
//
// Environment:
//   ABIDE_SERVICE      the service (default: target/debug/examples/service in the repository)
//   CHROMIUM           the browser (default: /usr/bin/chromium)
//   ABIDE_DIST         a folder with index.html, app.js and app.css that replace those within the service
//   ABIDE_DELAY_MS     delays each request to the API by up to this, and each change of the page a little, to find races
//   ABIDE_SCREENSHOTS  a folder for pictures of the pages, and of those that a test failed on
//   CI                 if set, times are not checked
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = fileURLToPath(new URL('./browser/', import.meta.url));
const service = process.env.ABIDE_SERVICE || fileURLToPath(new URL('../../target/debug/examples/service', import.meta.url));
const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
const words = process.argv.slice(2);

for (const [name, path] of [
  ['ABIDE_SERVICE', service],
  ['CHROMIUM', executablePath],
]) {
  if (!existsSync(path)) {
    console.error(`there is no ${path}; set ${name}`);
    process.exit(2);
  }
}

const data = mkdtempSync(join(tmpdir(), 'abide-browser-tests-'));
const hub = spawn(service, ['--port', '0', '--data', data], { stdio: ['ignore', 'pipe', 'ignore'] });
let status = 1;
try {
  const url = await address(hub);
  const server = await chromium.launchServer({ executablePath, handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false });
  const tests = readdirSync(here).filter((name) => name.endsWith('.test.mjs'));
  const files = words.length === 0 ? tests : tests.filter((name) => words.some((word) => name.includes(word)));
  const environment = { ...process.env, ABIDE_TEST_HUB: url, ABIDE_TEST_BROWSER: server.wsEndpoint() };
  // One file at a time: the tests share the hub, and each starts from the same state of it.
  const options = ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files.map((name) => join(here, name))];
  const run = spawn(process.execPath, options, { stdio: 'inherit', env: environment });
  // The service and the browser end after the tests, also if somebody interrupts them.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => run.kill('SIGTERM'));
  status = await new Promise((resolve) => run.once('exit', (code) => resolve(code ?? 1)));
  await server.close();
} finally {
  hub.kill('SIGINT');
  if (hub.exitCode === null) await new Promise((resolve) => hub.once('exit', resolve));
  rmSync(data, { recursive: true, force: true });
}
process.exit(status);

/** Reads the address that the service prints. */
async function address(hub) {
  const lines = createInterface({ input: hub.stdout });
  for await (const line of lines) {
    const url = /listens at (http\S+)/.exec(line)?.[1];
    if (!url) continue;
    // What it prints later is not needed, but has to be read.
    hub.stdout.resume();
    return url;
  }
  throw new Error(`${service} ended before it listened`);
}
