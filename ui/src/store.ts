import { computed, signal } from '@preact/signals';
import { get } from './api';
import type { Hub } from './types';

export { theme, timeZone } from './settings';
export { now } from './clock';

/** The description of the hub. `null` until it is known. */
export const hub = signal<Hub | null>(null);
export const hubError = signal<Error | null>(null);

/** True if this user may change something. The server decides in any case; this only hides buttons. */
export const canOperate = computed(() => hub.value?.readOnly === false && hub.value.scope === 'operate');

export async function loadHub(): Promise<void> {
  try {
    hub.value = await get<Hub>('/hub');
    hubError.value = null;
  } catch (error) {
    hubError.value = error as Error;
  }
}
