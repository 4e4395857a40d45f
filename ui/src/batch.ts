import { send } from './api';
import type { Batch, BatchAction, BatchRequest } from './types';

interface Effect {
  label: string;
  /** What it does, for the question before it. */
  effect: string;
  danger?: boolean;
  hasReason?: boolean;
}

export const BATCH_EFFECTS: Record<BatchAction, Effect> = {
  terminate: {
    label: 'Terminate',
    effect: 'Ends each one that has not ended. This cannot be undone.',
    danger: true,
    hasReason: true,
  },
  suspend: { label: 'Suspend', effect: 'Each one pauses until it is resumed.', hasReason: true },
  resume: { label: 'Resume', effect: 'Suspended and stopped ones continue.', hasReason: true },
  rewind: { label: 'Rewind', effect: 'Failed ones run their failed steps again.', hasReason: true },
  restart: { label: 'Restart', effect: 'Starts each one that has ended again. Its history is replaced.', danger: true },
  purge: {
    label: 'Purge',
    effect: 'Deletes each one that has ended. This cannot be undone.',
    danger: true,
  },
  raiseEvent: { label: 'Raise event', effect: 'Sends the event to each one that has not ended.' },
};

export function startBatch(request: BatchRequest): Promise<Batch> {
  return send<Batch>('POST', '/batches', request);
}
