import { count } from '../format';
import type { PagedList } from '../paged-list';

interface Props {
  list: PagedList<unknown>;
  /** Number of rows in the whole list, if it is known. */
  total?: number | null;
  noun: string;
}

/** How much of a list is loaded. */
export function ListFoot({ list, total, noun }: Props) {
  return (
    <div class="list-foot" data-test="list-foot">
      <span role="status">
        {list.isComplete
          ? `${count(list.count)} ${noun}`
          : `${count(list.count)} ${noun} loaded${total != null && total > list.count ? ` of ${count(total)}` : ''}`}
        {list.isLoading && ', loading…'}
      </span>
      {list.unreadable > 0 && (
        <span class="warn">{count(list.unreadable)} cannot be read; check the directory of the hub</span>
      )}
      {list.isPaused && (
        <>
          <span>Nothing more found in {count(list.searched)} rows so far.</span>
          <button type="button" class="quiet" onClick={() => list.resume()}>
            Search further
          </button>
        </>
      )}
    </div>
  );
}
