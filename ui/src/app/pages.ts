/** The pages of the app in the order of the navigation. `key` follows `g` as a keyboard shortcut. */
export const PAGES = [
  { id: 'overview', path: [], title: 'Overview', key: 'o' },
  { id: 'instances', path: ['instances'], title: 'Instances', key: 'i' },
  { id: 'entities', path: ['entities'], title: 'Entities', key: 'e' },
  { id: 'activities', path: ['activities'], title: 'Activities', key: 'a' },
  { id: 'locks', path: ['locks'], title: 'Locks', key: 'l' },
  { id: 'schedules', path: ['schedules'], title: 'Schedules', key: 's' },
  { id: 'problems', path: ['problems'], title: 'Problems', key: 'p' },
  { id: 'batches', path: ['batches'], title: 'Batches', key: 'b' },
  { id: 'settings', path: ['settings'], title: 'Settings', key: 't' },
] as const;

export type PageId = (typeof PAGES)[number]['id'];
