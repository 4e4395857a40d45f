import { get } from '../../api';
import { Empty, ErrorBox, InstanceLink, Link, Panel, Segments, Time } from '../../components';
import { count } from '../../format';
import { useResource } from '../../resource';
import { href, route, setQuery } from '../../router';
import type { FailureGroup, Failures } from '../../types';
import { BatchAction } from '../batches/BatchAction';

const EVERY_MS = 15_000;
const GROUPS = 100;
const RANGES = [
  { id: '1h', label: '1 h', ms: 3_600_000 },
  { id: '24h', label: '24 h', ms: 86_400_000 },
  { id: '7d', label: '7 d', ms: 604_800_000 },
  { id: 'all', label: 'All', ms: Infinity },
] as const;

/** Failed instances, grouped by type and kind of error. */
export function FailureGroups() {
  const wanted = route.value.query.get('range');
  const range = RANGES.find(({ id }) => id === wanted) ?? RANGES[3];
  const { data, error, reload } = useResource(
    (signal) => get<Failures>('/failures', { top: GROUPS, createdTimeFrom: start(range.ms) }, signal),
    [range.id],
    EVERY_MS,
  );
  return (
    <>
      <div class="filters">
        <span class="muted">Created in the last</span>
        <Segments label="Range" options={RANGES} selected={range.id} onSelect={(range) => setQuery({ range })} />
        {data?.truncated && (
          <span class="badge warn" title="There are too many failed instances to read all of them.">
            Incomplete
          </span>
        )}
      </div>
      <ErrorBox error={error} retry={reload} feature="failures by kind" />
      {data?.groups.length === 0 && <Empty title="No instance has failed" />}
      {data?.groups.map((group) => (
        <Group key={`${group.name} ${group.errorType}`} group={group} from={start(range.ms)} />
      ))}
    </>
  );
}

function Group({ group, from }: { group: FailureGroup; from: string | undefined }) {
  const { name, errorType, message, count: n, first, last, instances } = group;
  return (
    <Panel
     title={
        <>
          {errorType} <span class="muted">in</span> {name}
        </>
      }
      head={
        <>
          <span class="badge bad">{count(n)} failed</span>
          <Link to={href(['instances'], { status: 'Failed', name, from })}>Show</Link>
          <BatchAction
            label="Rewind all"
            title={`Rewind ${count(n)} instances?`}
            confirm={`All failed instances of ${name} whose error is ${errorType} run their failed steps again. Do this after the cause is fixed.`}
            request={{
              action: 'rewind',
              reason: 'rewound from the dashboard',
              filter: { runtimeStatus: ['Failed'], name, errorType, createdTimeFrom: from },
            }}
          />
        </>
      }
    >
      <div class="panel-body">
        <p class="mono">{message}</p>
        <p class="muted">
          first <Time t={first} relative />, last <Time t={last} relative />
        </p>
        <div class="row">
          {instances.map((id) => (
            <InstanceLink key={id} id={id} />
          ))}
          {n > instances.length && <span class="muted">and {count(n - instances.length)} more</span>}
        </div>
      </div>
    </Panel>
  );
}

/** Returns the begin of a range. Whole minutes, so that links keep their address for a while. */
function start(ms: number): string | undefined {
  if (!Number.isFinite(ms)) return undefined;
  return new Date(Math.floor((Date.now() - ms) / 60_000) * 60_000).toISOString();
}
