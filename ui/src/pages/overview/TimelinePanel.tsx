import { get } from '../../api';
import { ErrorBox, Panel, Segments } from '../../components';
import { useResource } from '../../resource';
import { route, setQuery } from '../../router';
import type { Timeline } from '../../types';
import { RANGES, rangeAt } from './timeline';
import { TimelineChart } from './TimelineChart';

/** Starts and ends over time. */
export function TimelinePanel() {
  const wanted = route.value.query.get('range');
  const range = RANGES.find(({ id }) => id === wanted) ?? RANGES[1];
  const { data, error, reload } = useResource(
    (signal) => get<Timeline>('/timeline', { ...rangeAt(range, Date.now()) }, signal),
    [range.id],
    range.everyMs,
  );
  return (
    <Panel
      title="Starts and ends"
      head={
        <>
          {data?.truncated && (
            <span class="badge warn" title="The range has too many instances to count. Choose a shorter one.">
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
      <ErrorBox error={error} retry={reload} feature="a timeline" />
      {data && <TimelineChart timeline={data} isLong={range.ms > 86_400_000} />}
    </Panel>
  );
}
