import { ask, endedOrder, waitingOrder } from './hub.mjs';
import { until } from './until.mjs';

/** A shop with an order in each status, and a batch. */
export async function shop() {
  await Promise.all([
    endedOrder('order-done', { customer: 'Alice', article: 'lamp', n: 2 }),
    endedOrder('order-failed', { customer: 'Mallory', n: 3 }),
    endedOrder('order-sold-out', { article: 'chair', n: 1 }),
    waitingOrder('order-waiting', { article: 'lamp', n: 40 }),
    waitingOrder('order-suspended'),
    waitingOrder('order-terminated'),
  ]);
  await ask('POST', '/instances/order-suspended/suspend?reason=holiday');
  await ask('POST', '/instances/order-terminated/terminate?reason=canceled');
  const { id } = await ask('POST', '/batches', { action: 'resume', ids: ['order-done', 'order-gone'] });
  await until(async () => (await ask('GET', `/batches/${id}`)).state === 'completed', 'the batch ends');
}
