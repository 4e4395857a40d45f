import { useMemo, useRef } from 'preact/hooks';
import { failures } from './bars';
import { type Axis, type Window, clamp, densities, outline, total } from './gantt';
import type { History } from './history';

const COLUMNS = 300;
/** A drag shorter than this share of the width is a click. */
const SHORTEST = 0.005;

interface Props {
  history: History;
  version: number;
  axis: Axis;
  window: Window;
  onChange: (window: Window | null) => void;
}

/** The whole execution in one strip. Dragging chooses the window, a click moves it. */
export function Overview({ history, version, axis, window, onChange }: Props) {
  const box = useRef<SVGSVGElement>(null);
  const from = useRef<number | null>(null);
  const { bounds } = axis;
  const width = bounds.to - bounds.from;
  const density = useMemo(() => total(densities(history, axis, bounds, COLUMNS), COLUMNS), [history, version, axis]);
  const left = ((window.from - bounds.from) / width) * COLUMNS;
  const right = ((window.to - bounds.from) / width) * COLUMNS;

  function shareOf(event: PointerEvent): number {
    const area = box.current?.getBoundingClientRect();
    return area ? Math.min(1, Math.max(0, (event.clientX - area.left) / area.width)) : 0;
  }

  function drag(event: PointerEvent): void {
    if (from.current === null) return;
    const to = shareOf(event);
    if (Math.abs(to - from.current) < SHORTEST) return;
    const [first, second] = from.current < to ? [from.current, to] : [to, from.current];
    onChange({ from: bounds.from + first * width, to: bounds.from + second * width });
  }

  function end(event: PointerEvent): void {
    if (from.current !== null && Math.abs(shareOf(event) - from.current) < SHORTEST) {
      const half = (window.to - window.from) / 2;
      const middle = bounds.from + from.current * width;
      onChange(clamp({ from: middle - half, to: middle + half }, bounds));
    }
    from.current = null;
  }

  return (
    <svg
      ref={box}
      class="i-overview"
      viewBox={`0 0 ${COLUMNS} 100`}
      preserveAspectRatio="none"
      role="img"
      aria-label="Number of open steps over time. Drag to choose the part that is shown."
      onPointerDown={(event) => {
        from.current = shareOf(event);
        box.current?.setPointerCapture(event.pointerId);
      }}
      onPointerMove={drag}
      onPointerUp={end}
    >
      <path class="i-total" d={outline(density)} />
      <path class="i-fails" d={failures(density)} />
      <path class="i-outside" d={`M0 0H${left}V100H0ZM${right} 0H${COLUMNS}V100H${right}Z`} />
      <path class="i-brush" d={`M${left} 0V100M${right} 0V100`} />
    </svg>
  );
}
