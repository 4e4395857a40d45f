import type { ComponentChildren } from 'preact';
import { count } from '../format';
import type { ShortList } from '../use-list';
import { Empty } from './Empty';
import { ErrorBox } from './ErrorBox';
import { Panel } from './Panel';
import { Table } from './Table';

interface Props<T> {
  title: string;
  list: ShortList<T>;
  /** Title and text of an empty list. */
  empty: string;
  about?: string;
  /** Buttons in the header. */
  buttons?: ComponentChildren;
  head: readonly string[];
  end?: readonly string[];
  actions?: boolean;
  row: (item: T) => ComponentChildren;
}

/** A list that is usually short, as a table within a panel. */
export function ListPanel<T>({ title, list, empty, about, buttons, row, ...columns }: Props<T>) {
  const { items, hasMore, unreadable } = list;
  return (
    <>
      <ErrorBox error={list.error} retry={list.reload} />
      {list.data && items.length === 0 && <Empty title={empty}>{about}</Empty>}
      {items.length > 0 && (
        <Panel title={title} head={buttons}>
          <Table {...columns}>{items.map(row)}</Table>
          {(hasMore || unreadable > 0) && (
            <div class="panel-body row">
              {unreadable > 0 && <span class="warn">{count(unreadable)} rows cannot be read.</span>}
              {hasMore && (
                <button type="button" onClick={list.more} disabled={list.loading}>
                  Show more
                </button>
              )}
            </div>
          )}
        </Panel>
      )}
    </>
  );
}
