import { answer } from './answers.mjs';

const since = new Date(Date.now() - 900_000).toISOString();
const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
const entity = (key) => ({ name: 'stock', key });
const lock = (key, owner) => ({ entityId: entity(key), owner, executionId: 'x', since, sequence: 1 });
const LOCKS = [lock('lamp', 'order-a'), lock('bulb', 'order-b')];
const REASON = 'the state of `@stock@sofa` cannot be decoded: missing field `free`';
const STOPPED = { kind: 'NonDeterministic', message: 'step 2 diverges from the history: expected `take_payment`' };

const DEAD_LETTER = {
  id: '7',
  entityId: entity('sofa'),
  operation: 'put',
  input: { n: 1 },
  reason: 'the operation panicked',
  deadLetteredAt: since,
  source: 'order-a',
};

const details = (key, more) => ({
  body: {
    entityId: entity(key),
    registered: true,
    exists: true,
    state: { free: 3 },
    lastOperationTime: since,
    lock: null,
    quarantine: null,
    waiting: { count: 0, atLeast: false, messages: [] },
    scheduledSignals: [],
    ...more,
  },
});
const held = (key, owner, waiter) =>
  details(key, {
    lock: { owner, executionId: 'x', since, sequence: 1 },
    waiting: { count: 1, atLeast: false, messages: [{ kind: 'lock', operation: null, source: waiter, input: null }] },
    scheduledSignals: [{ id: 'refill', operation: 'put', due: inAnHour, source: null, input: { n: 5 } }],
  });

const status = (id) => ({
  name: 'process_order',
  instanceId: id,
  runtimeStatus: 'Running',
  input: null,
  customStatus: null,
  output: null,
  createdTime: since,
  lastUpdatedTime: since,
  executionId: 'x',
  stopped: STOPPED,
});

/** Shows troubles that a healthy hub does not have. Returns the list of the requests that change something. */
export async function trouble(context) {
  const sent = [];
  const acts = (path) =>
    answer(context, path, (url, request) => {
      sent.push(`${request.method()} ${url.pathname.split('/durabletask')[1]}`);
      return { status: 202 };
    });
  await answer(context, '/locks', () => ({ body: LOCKS }));
  await answer(context, '/quarantine', () => ({ body: [{ entityId: entity('sofa'), reason: REASON, since }] }));
  await answer(context, '/stopped', () => ({ body: [status('order-a')] }));
  await answer(context, '/dead-letters', () => ({ body: [DEAD_LETTER] }));
  await answer(context, '/entities/stock/lamp/details', () => held('lamp', 'order-a', 'order-b'));
  await answer(context, '/entities/stock/bulb/details', () => held('bulb', 'order-b', 'order-a'));
  await answer(context, '/entities/stock/sofa/details', () => details('sofa', { quarantine: { reason: REASON, since } }));
  for (const id of ['order-a', 'order-b']) {
    await answer(context, `/instances/${id}/waiting`, () => ({
      body: { id, name: 'process_order', status: 'Running', lastChange: since, steps: [], messages: 0 },
    }));
  }
  await acts('/locks/stock/\\w+');
  await acts('/quarantine/stock/\\w+/release');
  await acts('/dead-letters/7(/redeliver)?');
  await acts('/instances/order-a/resume');
  return sent;
}
