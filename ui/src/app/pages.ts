interface Page {
  path: readonly string[];
  title: string;
  /** Key that follows `g` as a keyboard shortcut. */
  key: string;
  /** Shape of the symbol, as an SVG path within 16 by 16. */
  icon: string;
}

/** The pages of the app in the order of the navigation. */
export const PAGES: readonly Page[] = [
  { path: [], title: 'Overview', key: 'o', icon: 'M2 13V8m4 5V3m4 10V6m4 7v-3' },
  { path: ['instances'], title: 'Instances', key: 'i', icon: 'M2 3.5h12M2 8h12M2 12.5h8' },
  { path: ['entities'], title: 'Entities', key: 'e', icon: 'M8 2 13.5 5v6L8 14 2.5 11V5L8 2ZM2.5 5 8 8l5.5-3M8 8v6' },
  { path: ['activities'], title: 'Activities', key: 'a', icon: 'M1.5 8h3l2-5 3 10 2-5h3' },
  { path: ['locks'], title: 'Locks', key: 'l', icon: 'M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5' },
  { path: ['schedules'], title: 'Schedules', key: 's', icon: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 5v3l2 1.5' },
  { path: ['problems'], title: 'Problems', key: 'p', icon: 'M8 2 14.5 13.5h-13L8 2ZM8 6.5v3m0 2v.1' },
  { path: ['batches'], title: 'Batches', key: 'b', icon: 'M2.5 4.5h11v3h-11zM2.5 10.5h11v3h-11zM4 2h8' },
  { path: ['settings'], title: 'Settings', key: 't', icon: 'M2 4.5h7m3 0h2M2 11.5h2m3 0h7M10.5 3v3M5.5 10v3' },
];
