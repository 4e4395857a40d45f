/** Browsers limit the height of an element. Firefox has the lowest limit, about 17.8 million pixels. */
const HIGHEST = 8_000_000;
/** Rows rendered above and below the visible ones, so that quick scrolling shows no gap. */
const MARGIN = 8;

export interface View {
  first: number;
  /** Index after the last rendered row. */
  end: number;
  /** Height of the scrolled element. */
  height: number;
  /** Position of a row in the scrolled element. */
  offsetOf(index: number): number;
  /** Returns the position to scroll to, so that a row is visible below a fixed header. */
  reveal(index: number, headHeight: number): number;
}

/** Returns the rows of a list that are visible. A list that is too high for browsers scrolls faster than its rows. */
export function visibleRange(count: number, rowHeight: number, scrollTop: number, viewHeight: number): View {
  const whole = count * rowHeight;
  const height = Math.min(whole, HIGHEST);
  const room = Math.max(1, height - viewHeight);
  const scale = whole > HIGHEST ? (whole - viewHeight) / room : 1;
  const top = scrollTop * scale;
  const first = Math.max(0, Math.floor(top / rowHeight) - MARGIN);
  const end = Math.min(count, Math.ceil((top + viewHeight) / rowHeight) + MARGIN);
  return {
    first,
    end,
    height,
    offsetOf: (index) => index * rowHeight - top + scrollTop,
    reveal(index, headHeight) {
      const rowTop = index * rowHeight;
      const lowest = rowTop + rowHeight + headHeight - viewHeight;
      if (rowTop < top) return rowTop / scale;
      return lowest > top ? lowest / scale : scrollTop;
    },
  };
}

/** Returns the row that a key moves to, or `undefined` for another key. */
export function rowAfter(key: string, at: number, count: number, page: number): number | undefined {
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: count - 1 }[key];
  return to === undefined ? undefined : Math.max(0, Math.min(count - 1, to));
}
