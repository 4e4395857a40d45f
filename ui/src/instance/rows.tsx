import type { ComponentChildren } from 'preact';
import { useEffect, useId } from 'preact/hooks';
import { useScroll } from '../use-scroll';
import { rowAfter, visibleRange } from '../window';

interface Props {
  label: string;
  count: number;
  rowHeight: number;
  /** The content of a row. It contains no links or buttons: those are in the details of the selected row. */
  row: (index: number) => ComponentChildren;
  /** The row as a sentence for screen readers. */
  rowLabel: (index: number) => string;
  selected: number;
  onSelect: (index: number) => void;
  /** Keys beside those that move. */
  keys?: Record<string, () => void>;
  /** Shown above the rows, and stays there when they are scrolled. */
  head?: ComponentChildren;
  'data-test'?: string;
}

/** A list of which one row is selected. Renders only the rows that are visible. */
export function Rows(props: Props) {
  const { count, rowHeight, selected, onSelect } = props;
  const id = useId();
  const { box, scroll, measure } = useScroll(480);
  const view = visibleRange(count, rowHeight, scroll.top, scroll.height);

  useEffect(() => {
    const element = box.current;
    if (!element || selected < 0) return;
    const top = view.offsetOf(selected);
    const bottom = top + rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
  }, [selected]);

  function onKeyDown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(scroll.height / rowHeight) - 1);
    const to = rowAfter(event.key, selected, count, page);
    const run = props.keys?.[event.key];
    if (run) run();
    else if (to !== undefined) onSelect(to);
    else return;
    event.preventDefault();
  }

  const rows = [];
  const isRendered = selected >= view.first && selected < view.end;
  for (let index = view.first; index < view.end; index += 1) {
    rows.push(
      <div
        key={index}
        id={`${id}-${index}`}
        role="option"
        aria-selected={index === selected}
        aria-setsize={count}
        aria-posinset={index + 1}
        class="i-row"
        style={{ height: `${rowHeight}px`, transform: `translateY(${view.offsetOf(index)}px)` }}
        onClick={() => onSelect(index)}
      >
        <span class="visually-hidden">{props.rowLabel(index)}</span>
        <div aria-hidden="true">{props.row(index)}</div>
      </div>,
    );
  }
  return (
    <div class="panel i-rows">
      {props.head}
      <div
        ref={box}
        class="i-rows-box"
        role="listbox"
        aria-label={props.label}
        aria-activedescendant={isRendered ? `${id}-${selected}` : undefined}
        tabIndex={0}
        data-test={props['data-test']}
        onKeyDown={onKeyDown}
        onScroll={measure}
      >
        <div class="i-rows-body" role="presentation" style={{ height: `${view.height}px` }}>
          {rows}
        </div>
      </div>
    </div>
  );
}
