import type { ComponentChildren } from 'preact';
import { useCallback } from 'preact/hooks';
import { words } from '../format';
import type { PagedList } from '../paged-list';
import { navigate } from '../router';
import { Empty } from './Empty';
import { ErrorBox } from './ErrorBox';
import { ListFoot } from './ListFoot';
import { type Column, VirtualList } from './VirtualList';

interface Props<T> {
  list: PagedList<T>;
  /** What the rows are, such as `instances`. */
  noun: string;
  /** Title of an empty list. */
  empty: string;
  columns: readonly Column[];
  /** The cells of a row in the order of the columns. */
  cells: (row: T) => readonly ComponentChildren[];
  /** The address of a row. */
  to: (row: T) => string;
  /** Number of rows in the whole list, if it is known. */
  total: number | null;
  isSelected?: (row: T) => boolean;
  onToggle?: (row: T) => void;
}

/** A list of any length as a table, with its error and its length. */
export function PagedTable<T>({ list, noun, empty, columns, cells, to, total, isSelected, onToggle }: Props<T>) {
  const onRange = useCallback((first: number, end: number) => list.show(first, end), [list]);
  /** Returns a function of an index, which has no result while the row is loading. */
  function at<R>(use: (row: T) => R): (index: number) => R | null {
    return (index) => {
      const row = list.at(index);
      return row === undefined ? null : use(row);
    };
  }
  return (
    <>
      <ErrorBox error={list.error} retry={() => list.resume()} />
      {list.isComplete && list.count === 0 ? (
        <Empty title={empty} />
      ) : (
        <VirtualList
          label={words(noun)}
          columns={columns}
          count={list.count}
          isOpenEnded={!list.isComplete}
          row={at(cells)}
          isSelected={isSelected && at(isSelected)}
          onOpen={at((row) => navigate(to(row)))}
          onToggle={onToggle && at(onToggle)}
          onRange={onRange}
        />
      )}
      <ListFoot list={list} total={total} noun={noun} />
    </>
  );
}
