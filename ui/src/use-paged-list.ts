import { useEffect, useMemo, useReducer } from 'preact/hooks';
import { type LoadPage, PagedList } from './paged-list';

/** Creates a list that is read while scrolling. A new value of `deps` starts it again. */
export function usePagedList<T>(load: LoadPage<T>, deps: readonly unknown[]): PagedList<T> {
  const [, rerender] = useReducer<number, void>((n) => n + 1, 0);
  const list = useMemo(() => new PagedList(load, () => rerender()), deps);
  useEffect(() => {
    list.show(0, 1);
    return () => list.close();
  }, [list]);
  return list;
}
