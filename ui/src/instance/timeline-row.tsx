import type { Signal } from '@preact/signals';
import { count, duration } from '../format';
import { Bars, DensityPlot } from './bars';
import type { Axis, Density, Line, Window } from './gantt';
import { type Group, type History, type Row, last } from './history';
import { stepTitle } from './names';

interface RowProps {
  row: Row;
  axis: Axis;
  window: Window;
  /** True below the line of a group. */
  isInner: boolean;
  readout: Signal<string>;
}

/** The line of one step. */
export function StepRow({ row, axis, window, isInner, readout }: RowProps) {
  const name = rowName(row);
  return (
    <div class={isInner ? 'i-bar-row i-inner' : 'i-bar-row'}>
      <span class={`i-bar-name i-kind-${row.step?.kind}`} title={name}>
        <span class="i-dot" />
        {name}
      </span>
      <span class="i-bar-time">{took(row, axis)}</span>
      <Bars row={row} axis={axis} window={window} onHover={(text) => (readout.value = text)} />
    </div>
  );
}

interface GroupProps {
  group: Group;
  density: Density;
  isUnfolded: boolean;
  onToggle: () => void;
}

/** The line of a group of steps. */
export function GroupRow({ group, density, isUnfolded, onToggle }: GroupProps) {
  return (
    <div class="i-bar-row" onDblClick={onToggle}>
      <span class={`i-bar-name i-kind-${group.kind}`}>
        <span class="i-fold" onClick={onToggle}>
          {isUnfolded ? '▾' : '▸'}
        </span>
        {group.name}
      </span>
      <span class="i-bar-time">× {count(density.count)}</span>
      <DensityPlot density={density} kind={group.kind} />
    </div>
  );
}

/** A line as a sentence. */
export function lineLabel(line: Line, history: History, shown: Density[], axis: Axis): string {
  if ('row' in line) return `${rowName(line.row)}, ${last(line.row).state}, ${took(line.row, axis)}`;
  const { name, failed } = history.groups[line.group]!;
  return `${name}, ${shown[line.group]?.count} steps, ${failed} failed. Enter folds and unfolds.`;
}

function rowName(row: Row): string {
  const name = row.delays ? `retry delay of ${stepTitle(row.delays.step)}` : stepTitle(row.step);
  return row.label ? `${row.label} (${name})` : name;
}

function took(row: Row, axis: Axis): string {
  const { to } = last(row);
  if (to === Infinity && axis.by === 'turn') return 'open';
  return duration((to === Infinity ? axis.bounds.to : to) - row.spans[0]!.from);
}
