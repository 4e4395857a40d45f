import { InstanceLink, PageHead, Status, Time } from '../components';
import { hasEnded } from '../ended';
import { age, counted, duration, preview } from '../format';
import { Actions } from './actions';
import type { InstanceModel } from './model';

/** Name, status and facts of the orchestration, and what can be done with it. */
export function Head({ model }: { model: InstanceModel }) {
  const status = model.status.value;
  if (!status) return <PageHead title={<span class="i-id">{model.id}</span>} />;
  const ended = hasEnded(status.runtimeStatus);
  const took = Date.parse(status.lastUpdatedTime) - Date.parse(status.createdTime);
  const tags = Object.entries(status.tags ?? {});
  // Below, the explanation of what it waits for has a text that the code has set.
  const custom = typeof status.customStatus === 'string' && model.waiting.value ? '' : preview(status.customStatus, 300);
  model.version.value;
  const { events, turns } = model.history;
  return (
    <header>
      <div class="i-title">
        <div>
          <p class="i-name">
            {status.name}
            {status.version && ` version ${status.version}`}
          </p>
          <h1 class="i-id">{status.instanceId}</h1>
        </div>
        <Status status={status.runtimeStatus} stopped={Boolean(status.stopped)} />
        <Actions model={model} status={status} />
      </div>
      <dl class="i-facts">
        <Fact name="Created">
          <Time t={status.createdTime} />
        </Fact>
        <Fact name={ended ? 'Ended' : 'Last change'}>
          <Time t={status.lastUpdatedTime} /> <span class="muted">{age(status.lastUpdatedTime)}</span>
        </Fact>
        <Fact name={ended ? 'Duration' : 'Age'}>{ended ? duration(took) : age(status.createdTime).replace(' ago', '')}</Fact>
        <Fact name="History">
          {counted(turns.length, 'turn')}, {counted(events.length, 'event')}
        </Fact>
        {status.parentInstanceId && (
          <Fact name="Parent">
            <InstanceLink id={status.parentInstanceId} />
          </Fact>
        )}
        {tags.length > 0 && (
          <Fact name="Tags">
            {tags.map(([key, value]) => (
              <span class="tag" key={key}>
                {key}={value}
              </span>
            ))}
          </Fact>
        )}
        {custom !== '' && (
          <Fact name="Custom status">
            {custom}
          </Fact>
        )}
      </dl>
    </header>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
