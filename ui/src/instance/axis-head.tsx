import type { Signal } from '@preact/signals';
import { duration, time } from '../format';
import { choose } from './address';
import { Marks } from './bars';
import { type Axis, type Window, ticks } from './gantt';
import type { History } from './history';

interface Props {
  history: History;
  axis: Axis;
  window: Window;
  readout: Signal<string>;
}

/** The scale, the events that came in and the messages that went out, and the readout. */
export function AxisHead({ history, axis, window, readout }: Props) {
  const isTime = axis.by === 'time';
  const { from } = axis.bounds;
  const width = window.to - window.from;
  const lanes = [
    ['Events received', history.received],
    ['Messages sent', history.sent],
  ] as const;
  return (
    <div class="i-axis" aria-hidden="true">
      <Readout text={readout} />
      <div class="i-bar-row">
        <span class="i-bar-name muted">{isTime && time(from)}</span>
        <span class="i-bar-time" />
        <span class="i-plot">
          {ticks(axis, window, 6).map((tick) => (
            <span class="i-tick" key={tick} style={{ left: `${((tick - window.from) / width) * 100}%` }}>
              {isTime ? `+${duration(tick - from)}` : tick}
            </span>
          ))}
        </span>
      </div>
      {lanes.map(
        ([name, marks]) =>
          marks.length > 0 && <Marks key={name} name={name} marks={marks} axis={axis} window={window} onChoose={(event) => choose({ event })} />,
      )}
    </div>
  );
}

/** Is rendered alone when the mouse moves. */
function Readout({ text }: { text: Signal<string> }) {
  return <div class="i-readout">{text.value || 'Move over a bar to read its times. Ctrl and the wheel zoom, dragging pans.'}</div>;
}
