import { useComputed } from '@preact/signals';
import { get } from '../../api';
import { ErrorBox, Panel, Segments } from '../../components';
import { type Range, RANGES, rangeOf } from '../../ranges';
import { useResource } from '../../resource';
import { route, setQuery } from '../../router';
import { now } from '../../store';
import type { Timeline } from '../../types';
import { timelineQuery } from './timeline';
import { TimelineChart } from './TimelineChart';

/** Starts and ends over time. */
export function TimelinePanel() {
  const range = shownRange();
  // Time passes also in a hub without changes.
  const { value: to } = useComputed(() => timelineQuery(shownRange(), now.value).to);
  const { data, error, reload } = useResource(
    (signal) => get<Timeline>('/timeline', timelineQuery(range, Date.now()), signal),
    [range.id, to],
    Math.max(5_000, range.ms / 1_000),
  );
  return (
    <Panel
      title="Starts and ends"
      head={
        <>
          {data?.truncated && (
            <span class="badge warn" title="There are too many instances. Choose a shorter range.">
              Incomplete
            </span>
          )}
          <Segments
            label="Range"
            options={RANGES}
            selected={range.id}
            onSelect={(id) => setQuery({ range: id === '1h' ? null : id })}
          />
        </>
      }
    >
      <ErrorBox error={error} retry={reload} />
      {data && <TimelineChart timeline={data} isLong={range.ms > 86_400_000} />}
    </Panel>
  );
}

function shownRange(): Range {
  return rangeOf(route.value.query.get('range')) ?? RANGES[1];
}
