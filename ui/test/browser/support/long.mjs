// Long histories and lists, which would take minutes to bring about.
import { answer } from './answers.mjs';

const START = Date.now() - 3_600_000;
const timeOf = (n, whole) => new Date(START + (n / whole) * 3_500_000).toISOString();

/** Answers for the instance `order-long`, whose history has this many events. */
export async function longHistory(context, count) {
  const events = historyOf(count);
  const turns = events.at(-1).turn + 1;
  const status = {
    name: 'process_order',
    instanceId: 'order-long',
    runtimeStatus: 'Completed',
    input: { n: count },
    customStatus: null,
    output: 'done',
    createdTime: events[0].time,
    lastUpdatedTime: events.at(-1).time,
    executionId: 'x',
  };
  await answer(context, '/instances/order-long', () => ({ body: status }));
  await answer(context, '/instances/order-long/history', (url) => {
    const from = Number(url.searchParams.get('fromTurn') ?? 0);
    const to = from + Number(url.searchParams.get('turns') ?? Infinity);
    return { body: events.filter(({ turn }) => turn >= from && turn < to), headers: { 'x-abide-turns': String(turns) } };
  });
}

/** A loop of activities: two events per turn. */
function historyOf(count) {
  const begin = { event: 'ExecutionStarted', name: 'process_order', version: '', input: null, parent: null, tags: [] };
  const failure = { error_type: 'Declined', message: 'the card was declined', details: null, causes: [], stack: null };
  const events = [{ time: timeOf(0, 1), turn: 0, ...begin }];
  for (let n = 1; events.length < count - 1; n++) {
    const step = { kind: 'Activity', name: `take_payment_${n % 7}` };
    const scheduled = timeOf(events.length, count);
    events.push({ time: scheduled, turn: n - 1, event: 'StepScheduled', sequence: n, step, input: { n }, attempt: 1 });
    const end = { time: timeOf(events.length, count), turn: n, sequence: n, step, scheduled };
    if (n % 50 === 0) events.push({ ...end, event: 'StepFailed', failure, error: null });
    else events.push({ ...end, event: 'StepCompleted', result: n * 15 });
  }
  events.push({ time: timeOf(1, 1), turn: events.at(-1).turn, event: 'ExecutionCompleted', output: 'done' });
  return events;
}

/** Answers with a list of this many instances. */
export async function longList(context, count) {
  await answer(context, '/instances', (url, request) => {
    const from = Number(request.headers()['x-ms-continuation-token'] ?? 0);
    const to = Math.min(count, from + Number(url.searchParams.get('top') ?? 100));
    const headers = to < count ? { 'x-ms-continuation-token': String(to) } : {};
    return { body: Array.from({ length: to - from }, (_, at) => instance(from + at, count)), headers };
  });
  await answer(context, '/counts', () => ({
    body: { orchestrations: [{ name: 'process_order', runtimeStatus: 'Completed', count }], entities: [] },
  }));
}

function instance(n, count) {
  const time = timeOf(n, count);
  return {
    name: 'process_order',
    instanceId: `order-${String(n).padStart(7, '0')}`,
    runtimeStatus: n % 20 === 0 ? 'Failed' : 'Completed',
    input: null,
    customStatus: 'paid',
    output: { paid_cents: n * 15, left_in_stock: n },
    createdTime: time,
    lastUpdatedTime: time,
    executionId: String(n),
    tags: { region: 'eu' },
  };
}
