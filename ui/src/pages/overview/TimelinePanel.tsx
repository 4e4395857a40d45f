import { get } from '../../api';
import { ErrorBox, Panel, Segments } from '../../components';
import { RANGES, rangeOf } from '../../ranges';
import { useResource } from '../../resource';
import { route, setQuery } from '../../router';
import type { Timeline } from '../../types';
import { timelineQuery } from './timeline';
import { TimelineChart } from './TimelineChart';

/** Starts and ends over time. */
export function TimelinePanel() {
  const range = rangeOf(route.value.query.get('range')) ?? RANGES[1];
  const { data, error, reload } = useResource(
    (signal) => get<Timeline>('/timeline', timelineQuery(range, Date.now()), signal),
    [range.id],
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
