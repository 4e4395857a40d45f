import type { PageId } from './pages';

const SHAPES: Record<PageId, string> = {
  overview: 'M2 13V8m4 5V3m4 10V6m4 7v-3',
  instances: 'M2 3.5h12M2 8h12M2 12.5h8',
  entities: 'M8 1.8 13.5 5v6L8 14.2 2.5 11V5L8 1.8ZM2.7 5 8 8l5.3-3M8 8v6',
  activities: 'M1.5 8h3l2-5 3 10 2-5h3',
  locks: 'M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5',
  schedules: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 5v3.2l2.2 1.3',
  problems: 'M8 2 14.5 13.5h-13L8 2ZM8 6.5v3.2m0 1.9v.1',
  batches: 'M2.5 4.5h11v3h-11zM2.5 10.5h11v3h-11zM4 1.8h8',
  settings: 'M2 4.5h7m3 0h2M2 11.5h2m3 0h7M10.5 2.8v3.4M5.5 9.8v3.4',
};

/** The symbol of a page. */
export function PageIcon({ page }: { page: PageId }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={SHAPES[page]} />
    </svg>
  );
}
