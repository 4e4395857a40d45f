const ENDED = new Set(['Completed', 'Failed', 'Terminated', 'Canceled']);

/** True for the status of an orchestration that has ended. */
export function hasEnded(status: string): boolean {
  return ENDED.has(status);
}
