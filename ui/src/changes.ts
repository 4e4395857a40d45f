/** Passes on that something has changed in the hub, so that what is shown is read again. */

const listeners = new Set<() => void>();
let isFollowed = false;

export function reportChange(): void {
  for (const listener of listeners) listener();
}

/** Calls the listener after each change until the returned function is called. */
export function onChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** True while every change is reported, so that polling is hardly needed. */
export function areChangesFollowed(): boolean {
  return isFollowed;
}

export function setChangesFollowed(value: boolean): void {
  isFollowed = value;
}
