import { setTimeout as pause } from 'node:timers/promises';

const PATIENCE_MS = 10_000;
const PAUSE_MS = 25;

/** Repeats `probe` until it returns something truthy without an error, and returns that. */
export async function until(probe, what = String(probe), patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  let error;
  do {
    try {
      const value = await probe();
      if (value) return value;
      error = undefined;
    } catch (thrown) {
      error = thrown;
    }
    await pause(PAUSE_MS);
  } while (Date.now() < end);
  throw new Error(`not within ${patience} ms: ${what}`, { cause: error });
}
