import { count, duration, fullTime } from '../format';
import { type Axis, type Density, type Window, end, markColumns, outline, start } from './gantt';
import type { Mark, Row, Span } from './history';
import { stepName } from './names';

/** Columns in which neighboring bars or marks are drawn as one. */
const COLUMNS = 600;

interface BarsProps {
  row: Row;
  axis: Axis;
  window: Window;
  onHover: (text: string) => void;
}

/** The attempts of one step, as far as they are in the window. */
export function Bars({ row, axis, window, onHover }: BarsProps) {
  const width = window.to - window.from;
  const bars = [];
  let covered = -1;
  for (const span of row.spans) {
    const from = Math.max(0, (start(axis, span) - window.from) / width);
    const to = Math.min(1, (end(axis, span) - window.from) / width);
    if (from > 1 || to < 0) continue;
    const column = Math.floor(to * COLUMNS);
    // Of many short attempts in one column, one is drawn.
    if (column === covered) continue;
    covered = column;
    bars.push(
      <span
        key={span.start}
        class={`i-bar i-kind-${row.step?.kind} i-state-${span.state}`}
        style={{ left: `min(${from * 100}%, 100% - 3px)`, width: `${(to - from) * 100}%` }}
        onMouseEnter={() => onHover(describe(row, span))}
      />,
    );
  }
  return <span class="i-plot">{bars}</span>;
}

function describe(row: Row, span: Span): string {
  const attempt = row.spans.length > 1 && row.step?.kind !== 'Lock' ? `, attempt ${row.spans.indexOf(span) + 1}` : '';
  const took = span.to === Infinity ? 'not ended' : `${duration(span.to - span.from)}, ${span.state}`;
  return `${stepName(row.step)}${attempt}: ${fullTime(span.from)}, ${took}, turns ${span.fromTurn}–${span.toTurn === Infinity ? '' : span.toTurn}`;
}

/** How many steps of a group are open over time, with ticks where one failed. */
export function DensityPlot({ density, kind }: { density: Density; kind: string }) {
  const columns = density.open.length;
  return (
    <span class="i-plot">
      <svg class={`i-density i-kind-${kind}`} viewBox={`0 0 ${columns} 100`} preserveAspectRatio="none" aria-hidden="true">
        <path d={outline(density)} />
        <path class="i-fails" d={failures(density)} />
      </svg>
    </span>
  );
}

/** A path of ticks at the columns with failures. */
export function failures(density: Density): string {
  let path = '';
  density.failed.forEach((failed, column) => {
    if (failed > 0) path += `M${column} 84h1.5V100h-1.5Z`;
  });
  return path;
}

interface MarksProps {
  name: string;
  marks: Mark[];
  axis: Axis;
  window: Window;
  onChoose: (event: number) => void;
}

/** A lane of moments. */
export function Marks({ name, marks, axis, window, onChoose }: MarksProps) {
  return (
    <div class="i-bar-row">
      <span class="i-bar-name muted">{name}</span>
      <span class="i-bar-time">{count(marks.length)}</span>
      <span class="i-plot">
        {markColumns(marks, axis, window, COLUMNS).map(({ column, event }) => (
          <span
            key={column}
            class="i-mark"
            style={{ left: `${(column / COLUMNS) * 100}%` }}
            onClick={() => onChoose(event)}
          />
        ))}
      </span>
    </div>
  );
}
