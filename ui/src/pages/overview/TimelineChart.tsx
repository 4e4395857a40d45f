import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { count, duration, time, words } from '../../format';
import { ticks } from '../../scale';
import { timeZone } from '../../store';
import { clock, day, instant } from '../../text';
import type { Timeline, TimelineBucket } from '../../types';

const HEIGHT = 180;
const LEFT = 40;
const BOTTOM = 20;
const TOP = 6;
const ENDS = ['completed', 'failed', 'terminated'] as const;
const SERIES = ['started', ...ENDS] as const;

interface Props {
  timeline: Timeline;
  /** Labels the axis with days instead of hours. */
  isLong: boolean;
}

/** Bars for the instances that ended, and a line for those that started. */
export function TimelineChart({ timeline, isLong }: Props) {
  const { buckets } = timeline;
  const svg = useRef<SVGSVGElement>(null);
  const [width, setWidth] = useState(800);
  const [cursor, setCursor] = useState<number | null>(null);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width || 800));
    if (svg.current) observer.observe(svg.current);
    return () => observer.disconnect();
  }, []);

  const last = buckets.length - 1;
  const highest = Math.max(1, ...buckets.map((bucket) => Math.max(bucket.started, ended(bucket))));
  const marks = ticks(highest);
  const top = marks.at(-1)!;
  const step = (width - LEFT) / Math.max(1, buckets.length);
  const x = (index: number) => LEFT + index * step;
  const y = (value: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const at = cursor === null ? null : (buckets[Math.min(cursor, last)] ?? null);
  const shown = at ?? total(buckets);
  const line = buckets
    .map((bucket, index) => `${index === 0 ? 'M' : 'L'}${x(index + 0.5)} ${y(bucket.started)}`)
    .join('');
  const labelEvery = Math.ceil(70 / step);

  function onKeyDown(event: KeyboardEvent): void {
    const from = cursor ?? last + 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
    if (event.key === 'Escape') setCursor(null);
    else if (to !== undefined) setCursor(Math.max(0, Math.min(last, to)));
    else return;
    event.preventDefault();
  }

  return (
    <div class="panel-body">
      <div class="legend" data-test="timeline-readout">
        <span>{at ? `${time(at.start)} +${duration(timeline.bucketSeconds * 1_000)}` : 'Whole range'}</span>
        {SERIES.map((id) => (
          <span key={id}>
            <span class={`swatch fill-${id}`} aria-hidden="true" />
            {words(id)} <b>{count(shown[id])}</b>
          </span>
        ))}
      </div>
      <svg
        ref={svg}
        class="chart"
        role="slider"
        tabIndex={0}
        aria-label="Point in time"
        aria-valuemin={0}
        aria-valuemax={last}
        aria-valuenow={cursor ?? last}
        aria-valuetext={at ? `${time(at.start)}: ${sentence(at)}` : `Whole range: ${sentence(shown)}`}
        onPointerMove={(event) => {
          const left = event.currentTarget.getBoundingClientRect().left;
          const index = Math.floor((event.clientX - left - LEFT) / step);
          setCursor(index >= 0 && index <= last ? index : null);
        }}
        onPointerLeave={() => setCursor(null)}
        onBlur={() => setCursor(null)}
        onKeyDown={onKeyDown}
      >
        {marks.map((mark) => (
          <g key={mark}>
            <line class="grid" x1={LEFT} x2={width} y1={y(mark)} y2={y(mark)} />
            <text x={LEFT - 8} y={y(mark) + 4} text-anchor="end">
              {count(mark)}
            </text>
          </g>
        ))}
        {buckets.map((bucket, index) => (
          <g key={bucket.start}>
            {ENDS.map((series, at) => {
              const below = ENDS.slice(0, at).reduce((sum, other) => sum + bucket[other], 0);
              const value = bucket[series];
              return (
                value > 0 && (
                  <rect
                    key={series}
                    class={`fill-${series}`}
                    x={x(index) + step * 0.15}
                    width={step * 0.7}
                    y={y(below + value)}
                    height={y(below) - y(below + value)}
                  />
                )
              );
            })}
            {index % labelEvery === 0 && index < buckets.length - labelEvery / 2 && (
              <text x={x(index)} y={HEIGHT - 4}>
                {isLong ? day(bucket.start, timeZone.value) : clock(bucket.start, timeZone.value)}
              </text>
            )}
          </g>
        ))}
        <path class="started" d={line} />
        {cursor !== null && (
          <rect class="cursor" x={x(Math.min(cursor, last))} width={step} y={TOP} height={HEIGHT - TOP - BOTTOM} />
        )}
      </svg>
      <div class="visually-hidden">
        <table>
          <caption>Instances that started and ended</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              {SERIES.map((id) => (
                <th scope="col" key={id}>
                  {id}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {buckets
              .filter((bucket) => bucket.started + ended(bucket) > 0)
              .map((bucket) => (
                <tr key={instant(bucket.start)}>
                  <th scope="row">{time(bucket.start)}</th>
                  {SERIES.map((id) => (
                    <td key={id}>{bucket[id]}</td>
                  ))}
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

type Sums = Omit<TimelineBucket, 'start'>;

function ended(bucket: Sums): number {
  return bucket.completed + bucket.failed + bucket.terminated;
}

function total(buckets: readonly TimelineBucket[]): Sums {
  const sum = { started: 0, completed: 0, failed: 0, terminated: 0 };
  for (const bucket of buckets) for (const id of SERIES) sum[id] += bucket[id];
  return sum;
}

function sentence(sums: Sums): string {
  return SERIES.map((id) => `${sums[id]} ${id}`).join(', ');
}
