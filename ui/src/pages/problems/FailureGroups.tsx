import { get } from '../../api';
import { Empty, ErrorBox, InstanceLink, Link, Panel, Segments, Time } from '../../components';
import { count } from '../../format';
import { beginOf, RANGES, rangeOf } from '../../ranges';
import { useResource } from '../../resource';
import { href, route, setQuery } from '../../router';
import type { FailureGroup, Failures } from '../../types';
import { BatchAction } from '../batches/BatchAction';

const EVERY_MS = 15_000;
const GROUPS = 100;
/** Failed instances, grouped by type and kind of error. */
export function FailureGroups() {
  const range = rangeOf(route.value.query.get('range'));
  const from = range && beginOf(range, Date.now());
  const { data, error, reload } = useResource(
    (signal) => get<Failures>('/failures', { top: GROUPS, createdTimeFrom: from }, signal),
    [range?.id],
    EVERY_MS,
  );
  return (
    <>
      <div class="filters">
        <span class="muted">Created in the last</span>
        <Segments
          label="Range"
          options={[...RANGES, { id: 'all' }]}
          selected={range?.id ?? 'all'}
          onSelect={(range) => setQuery({ range })}
        />
        {data?.truncated && (
          <span class="badge warn" title="There are too many instances. Choose a shorter range.">
            Incomplete
          </span>
        )}
      </div>
      <ErrorBox error={error} retry={reload} />
      {data?.groups.length === 0 && <Empty title="No instance has failed" />}
      {data?.groups.map((group) => (
        <Group key={`${group.name} ${group.errorType} ${group.variant}`} group={group} from={from} />
      ))}
    </>
  );
}

function Group({ group, from }: { group: FailureGroup; from: string | undefined }) {
  const { name, errorType, variant, message, count: n, first, last, instances } = group;
  const kind = variant ? `${errorType}::${variant}` : errorType;
  return (
    <Panel
      title={
        <>
          {kind} <span class="muted">in</span> {name}
        </>
      }
      head={
        <>
          <span class="badge bad">{count(n)} failed</span>
          <Link to={href(['instances'], { status: 'Failed', name, from })}>Show</Link>
          <BatchAction
            label="Rewind all"
            title={`Rewind ${count(n)} instances?`}
            confirm={`All failed instances of ${name} whose error is ${kind} run their failed steps again. Do this after the cause is fixed.`}
            request={{
              action: 'rewind',
              reason: 'rewound from the dashboard',
              filter: { runtimeStatus: ['Failed'], name, errorType, errorVariant: variant ?? undefined, createdTimeFrom: from },
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
