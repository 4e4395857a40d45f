// A client of the management API, with which the tests bring the hub into a state and look at it.
import { until } from './until.mjs';

export const BASE = process.env.ABIDE_TEST_HUB;
if (!BASE) throw new Error('run the browser tests with `node test/run-browser.mjs`');

const STOCK = { lamp: 100, bulb: 250 };
const STOCK_TAKING = { orchestration: 'take_stock', input: Object.keys(STOCK), cron: '0 3 1 1 *', catchUp: 'RunOnce' };
const ALIVE = 'Running,Pending,Suspended';

/** Sends a request. Fails for an answer with an error. */
export async function ask(method, path, body) {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const response = await fetch(`${BASE}${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

const segment = encodeURIComponent;

/** Places an order. Ten pieces or more wait for an approval, and `Mallory` cannot pay. */
export async function order(id, { customer = 'Carol', article = 'bulb', n = 1 } = {}) {
  await ask('POST', `/orchestrators/process_order/${segment(id)}`, { customer, article, n });
  return id;
}

/** Places an order and waits until it waits for its approval. */
export async function waitingOrder(id, more) {
  await order(id, { n: 10, ...more });
  await until(async () => (await status(id)).customStatus?.startsWith('waiting'), `${id} waits`);
  return id;
}

export async function endedOrder(id, more) {
  await order(id, more);
  await ended(id);
  return id;
}

export const status = (id) => ask('GET', `/instances/${segment(id)}`);
export const isStatus = async (id, wanted) => (await status(id)).runtimeStatus === wanted;
export const ended = (id) => until(async () => /Completed|Failed|Terminated/.test((await status(id)).runtimeStatus), `${id} ends`);
export const raise = (id, event, payload) => ask('POST', `/instances/${segment(id)}/raiseEvent/${segment(event)}`, payload);
export const stockOf = async (article) => (await ask('GET', `/entities/stock/${segment(article)}`)).free;

/** Brings the hub back into the state of a new one, but for the batches, which it keeps. */
export async function reset() {
  const alive = await ask('GET', `/instances?runtimeStatus=${ALIVE}&top=10000&showInput=false`);
  await Promise.all(alive.map(({ instanceId }) => ask('POST', `/instances/${segment(instanceId)}/terminate`).catch(() => null)));
  await until(async () => (await ask('GET', `/instances?runtimeStatus=${ALIVE}`)).length === 0, 'everything has ended');
  await ask('DELETE', '/instances?createdTimeFrom=0001-01-01T00:00:00Z').catch(() => null);
  for (const { id } of await ask('GET', '/schedules')) await ask('DELETE', `/schedules/${segment(id)}`);
  for (const { entityId } of await ask('GET', '/entities/stock')) {
    const path = `/entities/stock/${segment(entityId.key || '$')}`;
    await ask('DELETE', path);
    await until(async () => !(await ask('GET', `${path}/details`)).exists, `${path} is deleted`);
  }
  for (const [article, n] of Object.entries(STOCK)) await ask('POST', `/entities/stock/${article}?op=put&wait=true`, n);
  await ask('PUT', '/schedules/stock-taking', STOCK_TAKING);
}
