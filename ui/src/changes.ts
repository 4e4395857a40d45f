/** Passes on that something has changed in the hub, so that what is shown is read again. */

const listeners = new Set<() => void>();
let isFollowed = false;

export function tellChange(): void {
  for (const listener of listeners) listener();
}

/** Calls the listener after each change until the returned function is called. */
export function onChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** True while somebody tells of every change, so that polling is hardly needed. */
export function areChangesTold(): boolean {
  return isFollowed;
}

export function setChangesTold(value: boolean): void {
  isFollowed = value;
}
