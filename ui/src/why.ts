import { explain, headline, type Part } from './instance/reasons';
import type { Waiting } from './types';

/** Returns in a sentence why an orchestration does not continue. Of several open steps, it tells about the first. */
export function why(waiting: Waiting): Part[] {
  const [step] = waiting.steps;
  return step && waiting.status === 'Running' && !waiting.stopped ? explain(step).parts : headline(waiting);
}
