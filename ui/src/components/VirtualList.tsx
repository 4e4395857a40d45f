import type { ComponentChildren } from 'preact';
import { useEffect, useId, useState } from 'preact/hooks';
import { useScroll } from '../use-scroll';
import { rowAfter, visibleRange } from '../window';

/** Letters that move like arrow keys. */
const LETTERS: Record<string, string> = { j: 'ArrowDown', k: 'ArrowUp' };

export interface Column {
  id: string;
  header: ComponentChildren;
  /** Smallest width in pixels. */
  width: number;
  /** Share of the free width (default: 0). */
  grow?: number;
  align?: 'end';
}

interface Props {
  /** Name of the list for screen readers. */
  label: string;
  columns: readonly Column[];
  count: number;
  /** True if more rows follow that are not known yet. */
  isOpenEnded?: boolean;
  rowHeight?: number;
  /** The cells of a row in the order of the columns. `null` while the row is loading. */
  row: (index: number) => readonly ComponentChildren[] | null;
  isSelected?: (index: number) => boolean | null;
  /** Enter and double click. */
  onOpen?: (index: number) => void;
  /** Space. */
  onToggle?: (index: number) => void;
  /** Tells which rows are visible, so that they can be loaded. */
  onRange?: (first: number, end: number) => void;
}

/** A table that renders only the rows that are visible. Arrow keys move, Enter opens, Space selects. */
export function VirtualList(props: Props) {
  const { columns, count, rowHeight = 32 } = props;
  const id = useId();
  const { box: viewport, scroll, measure } = useScroll(600);
  const [active, setActive] = useState(0);
  const [hasFocus, setFocus] = useState(false);
  const view = visibleRange(count, rowHeight, scroll.top, scroll.height);
  const gridTemplateColumns = columns
    .map(({ width, grow }) => (grow ? `minmax(${width}px,${grow}fr)` : `${width}px`))
    .join(' ');
  // The list scrolls sideways if its columns do not fit.
  const minWidth = `${columns.reduce((sum, { width }) => sum + width, 12)}px`;

  useEffect(() => props.onRange?.(view.first, view.end), [view.first, view.end, count, props.onRange]);

  const current = Math.min(active, Math.max(0, count - 1));

  function move(to: number): void {
    setActive(to);
    if (viewport.current) viewport.current.scrollTop = view.reveal(to, rowHeight);
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.target !== viewport.current || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(scroll.height / rowHeight) - 2);
    const to = rowAfter(LETTERS[event.key] ?? event.key, current, count, page);
    if (to !== undefined) move(to);
    else if (event.key === 'Enter') props.onOpen?.(current);
    else if (event.key === ' ') props.onToggle?.(current);
    else return;
    event.preventDefault();
  }

  const rows = [];
  for (let index = view.first; index < view.end; index++) {
    const cells = props.row(index);
    const isActive = hasFocus && index === current;
    const name = ['vrow', isActive && 'active', cells === null && 'loading'];
    rows.push(
      <div
        key={index}
        id={`${id}-${index}`}
        role="row"
        aria-rowindex={index + 2}
        aria-selected={props.isSelected?.(index) ?? undefined}
        class={name.filter(Boolean).join(' ')}
        style={{
          height: `${rowHeight}px`,
          gridTemplateColumns,
          transform: `translateY(${view.offsetOf(index)}px)`,
        }}
        onMouseDown={() => setActive(index)}
        onDblClick={() => props.onOpen?.(index)}
      >
        {cells === null ? (
          <div role="gridcell" aria-colspan={columns.length} class="muted">
            Loading…
          </div>
        ) : (
          cells.map((cell, at) => (
            <div role="gridcell" key={columns[at]?.id} class={columns[at]?.align === 'end' ? 'end' : undefined}>
              {cell}
            </div>
          ))
        )}
      </div>,
    );
  }

  return (
    <div
      ref={viewport}
      class="vlist"
      role="grid"
      aria-label={props.label}
      aria-rowcount={props.isOpenEnded ? -1 : count + 1}
      aria-colcount={columns.length}
      aria-multiselectable={props.onToggle ? true : undefined}
      aria-activedescendant={hasFocus && count > 0 ? `${id}-${current}` : undefined}
      tabIndex={0}
      data-list
      onKeyDown={onKeyDown}
      onFocus={() => setFocus(true)}
      onBlur={() => setFocus(false)}
      onScroll={measure}
    >
      <div
        role="row"
        aria-rowindex={1}
        class="vhead"
        style={{ height: `${rowHeight}px`, gridTemplateColumns, minWidth }}
      >
        {columns.map((column) => (
          <div role="columnheader" key={column.id} class={column.align === 'end' ? 'end' : undefined}>
            {column.header}
          </div>
        ))}
      </div>
      <div class="vbody" role="rowgroup" style={{ height: `${view.height}px`, minWidth }}>
        {rows}
      </div>
    </div>
  );
}
