import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Empty, Segments } from '../components';
import { counted, duration, fullTime } from '../format';
import { route, setQuery } from '../router';
import { now } from '../store';
import { choose } from './address';
import { AxisHead } from './axis-head';
import { Split, selectedEvent } from './details';
import { type Line, type Window, axisOf, clamp, densities, end, lines, pan, start, visible, zoom } from './gantt';
import { last } from './history';
import { type InstanceModel, isLive } from './model';
import { Overview } from './overview';
import { usePlotMouse } from './plot-mouse';
import { Rows } from './rows';
import { GroupRow, StepRow, lineLabel } from './timeline-row';

/** Steps in the window beyond which they are shown in groups. */
const MOST_STEPS = 400;
/** Columns for which densities are counted. */
const COLUMNS = 400;
const ZOOM_STEP = 0.6;
const PAN_STEP = 0.15;

const AXES = [
  { id: 'time', label: 'Time' },
  { id: 'turn', label: 'Turns' },
] as const;

const LEVELS = [
  { id: 'auto', label: 'Auto' },
  { id: 'steps', label: 'Steps' },
  { id: 'groups', label: 'Groups' },
] as const;

type Level = (typeof LEVELS)[number]['id'];

/** The steps as bars over time. */
export function TimelineTab({ model }: { model: InstanceModel }) {
  const { history } = model;
  const version = model.version.value;
  const by = route.value.query.get('axis') === 'turn' ? 'turn' : 'time';
  const [level, setLevel] = useState<Level>('auto');
  const [chosen, setWindow] = useState<Window | null>(null);
  const [unfolded, setUnfolded] = useState<ReadonlySet<number>>(new Set());
  const [group, setGroup] = useState<number | null>(null);
  const readout = useSignal('');

  const clock = isLive(model) ? now.value : 0;
  const axis = useMemo(() => axisOf(by, history, clock), [by, history, version, clock]);
  const { bounds } = axis;
  const window = chosen ? clamp(chosen, bounds) : bounds;
  const view = [history, version, axis, window.from, window.to];
  const steps = useMemo(() => visible(history.rows, axis, window), view);
  const isGrouped = level === 'groups' || (level === 'auto' && steps.length > MOST_STEPS);
  const shown = useMemo(() => (isGrouped ? densities(history, axis, window, COLUMNS) : []), [isGrouped, ...view]);
  const list = useMemo<Line[]>(
    () => (isGrouped ? lines(history.groups, shown, unfolded, steps) : steps.map((row) => ({ row }))),
    [shown, unfolded, steps],
  );

  const event = history.events[selectedEvent()];
  const sequence = event && 'sequence' in event ? event.sequence : -1;
  const selected = useMemo(
    () => list.findIndex((line) => ('row' in line ? group === null && line.row.sequence === sequence : line.group === group)),
    [list, sequence, group],
  );
  useEffect(() => setWindow(null), [by, history]);
  useEffect(() => setGroup(null), [sequence]);

  const change = (to: Window | null) => setWindow(to && to.to - to.from < bounds.to - bounds.from ? to : null);
  const zoomBy = (factor: number, share: number) => change(zoom(window, bounds, factor, share));
  const panBy = (share: number) => change(pan(window, bounds, share));
  const zoomIn = () => zoomBy(ZOOM_STEP, focus());
  const zoomOut = () => zoomBy(1 / ZOOM_STEP, focus());
  const fit = () => change(null);

  /** Where the keyboard zooms: the chosen step, or the middle. */
  function focus(): number {
    const line = list[selected];
    if (!line || 'group' in line) return 0.5;
    const span = last(line.row);
    const at = (start(axis, span) + end(axis, span)) / 2;
    return Math.min(1, Math.max(0, (at - window.from) / (window.to - window.from)));
  }

  function toggle(at: number): void {
    const next = new Set(unfolded);
    if (!next.delete(at)) next.add(at);
    setUnfolded(next);
  }

  function select(index: number): void {
    const line = list[index];
    if (!line) return;
    readout.value = lineLabel(line, history, shown, axis);
    setGroup('group' in line ? line.group : null);
    if ('row' in line) choose({ event: last(line.row).start });
  }

  function open(): void {
    const line = list[selected];
    if (!line) return;
    if ('group' in line) toggle(line.group);
    else setQuery({ tab: 'history' }, false);
  }

  const keys: Record<string, () => void> = {
    '+': zoomIn,
    '=': zoomIn,
    '-': zoomOut,
    '0': fit,
    ArrowLeft: () => panBy(-PAN_STEP),
    ArrowRight: () => panBy(PAN_STEP),
    Enter: open,
  };

  const plot = usePlotMouse({
    zoomBy,
    panBy,
    onMove(share) {
      const at = window.from + share * (window.to - window.from);
      readout.value = by === 'turn' ? `turn ${Math.floor(at)}` : `${fullTime(at)}, ${duration(at - bounds.from)} after the start`;
    },
  });
  if (history.turns.length === 0) return <Empty title={model.isLoading.value ? 'Loading…' : 'No turn has run yet'} />;
  const isWhole = chosen === null;

  return (
    <Split model={model}>
      <div>
        <div class="row i-tools">
          <span class="segments">
            <button type="button" onClick={zoomIn} aria-label="Zoom in">
              +
            </button>
            <button type="button" onClick={zoomOut} disabled={isWhole} aria-label="Zoom out">
              −
            </button>
            <button type="button" onClick={fit} disabled={isWhole}>
              Fit
            </button>
          </span>
          <Segments
            label="Axis"
            options={AXES}
            selected={by}
            onSelect={(to) => setQuery({ axis: to === 'time' ? null : to })}
          />
          <Segments label="Level of detail" options={LEVELS} selected={level} onSelect={setLevel} />
          <span class="muted" role="status">
            {counted(steps.length, 'step')}
            {!isWhole && ' in view'}
            {model.isLoading.value && ', loading…'}
          </span>
          <span class="spacer" />
          <span class="muted" aria-hidden="true">
            <kbd>+</kbd> <kbd>−</kbd> zoom <kbd>←</kbd> <kbd>→</kbd> pan <kbd>0</kbd> fit
          </span>
        </div>
        <Overview history={history} version={version} axis={axis} window={window} onChange={change} />
        <div ref={plot} class="i-gantt">
          <Rows
            label="Steps"
            count={list.length}
            rowHeight={26}
            selected={selected}
            onSelect={select}
            keys={keys}
            data-test="timeline"
            head={<AxisHead history={history} axis={axis} window={window} readout={readout} />}
            row={(index) => {
              const line = list[index]!;
              if ('row' in line) return <StepRow row={line.row} axis={axis} window={window} isInner={isGrouped} readout={readout} />;
              return (
                <GroupRow
                  group={history.groups[line.group]!}
                  density={shown[line.group]!}
                  isUnfolded={unfolded.has(line.group)}
                  onToggle={() => toggle(line.group)}
                />
              );
            }}
            rowLabel={(index) => lineLabel(list[index]!, history, shown, axis)}
          />
        </div>
      </div>
    </Split>
  );
}
