import { entitySegments, send } from '../../api';
import { Action, ErrorBox, Link, PageHead, Panel, Payload, Time } from '../../components';
import { useGet } from '../../resource';
import { href } from '../../router';
import { canOperate } from '../../store';
import type { EntityDetails } from '../../types';
import { useChanges } from '../../use-changes';
import { Blocks } from './Blocks';
import { Changes } from './Changes';
import { Messages } from './Messages';
import { Operations } from './Operations';

const EVERY_MS = 3_000;

interface Props {
  name: string;
  entityKey: string;
}

/** One entity: its state, what waits for it, and its operations. */
export function EntityPage({ name, entityKey }: Props) {
  useChanges({ prefix: `@${name}@${entityKey}`, kinds: 'entity' });
  const segments = entitySegments(name, entityKey);
  const { data, error, reload } = useGet<EntityDetails>(`/entities/${segments}/details`, EVERY_MS);
  const shownKey = entityKey === '' ? '(empty key)' : entityKey;
  return (
    <>
      <PageHead
        title={
          <>
            <Link to={href(['entities'], { type: name })}>{name}</Link>
            <span class="muted"> / </span>
            <span>{shownKey}</span>
          </>
        }
      >
        <button type="button" onClick={reload}>
          Reload
        </button>
        {data?.exists && (
          <Action
            label="Delete"
            danger
            title={`Delete ${name} ${shownKey}?`}
            confirm="Its state is deleted when it processes the signal. This cannot be undone."
            run={async () => {
              await send('DELETE', `/entities/${segments}`);
              reload();
              return 'The delete is signaled';
            }}
          />
        )}
      </PageHead>
      <ErrorBox error={error} retry={reload} />
      {data && (
        <>
          {data.registered === false && (
            <div class="notice warning">
              This program does not register the type {name}. Messages wait until a program that does opens the hub.
            </div>
          )}
          <Blocks details={data} reload={reload} />
          <div class="columns">
            <div>
              <Panel
                title="State"
                head={
                  data.lastOperationTime && (
                    <span class="muted">
                      changed <Time t={data.lastOperationTime} relative />
                    </span>
                  )
                }
              >
                <div class="panel-body">
                  {data.exists ? (
                    <Payload value={data.state} label={`State of ${name} ${entityKey}`} lines={30} />
                  ) : (
                    <p class="muted">This entity has no state.</p>
                  )}
                </div>
              </Panel>
              <Messages details={data} />
            </div>
            <div>
              {canOperate.value && data.registered !== false && (
                <Operations name={name} entityKey={entityKey} onDone={reload} />
              )}
              <Changes changes={data.changes} />
            </div>
          </div>
        </>
      )}
    </>
  );
}
