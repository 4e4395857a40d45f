import { Empty, InstanceLink, Panel, Table, Time } from '../../components';
import { count, preview } from '../../format';
import type { EntityDetails } from '../../types';

/** Messages in the queue of the entity, and signals that are due later. */
export function Messages({ details: { waiting, scheduledSignals } }: { details: EntityDetails }) {
  return (
    <>
      <Panel
        title="Waiting messages"
        head={
          <span class="muted">
            {waiting.atLeast && 'at least '}
            {count(waiting.count)}
          </span>
        }
      >
        {waiting.messages.length === 0 ? (
          <Empty title="No message waits" />
        ) : (
          <Table head={['Kind', 'Operation', 'From', 'Input']}>
            {waiting.messages.map(({ kind, operation, source, input }, at) => (
              <tr key={at}>
                <td>{kind}</td>
                <td>{operation}</td>
                <td>{source === null ? <span class="muted">a client</span> : <InstanceLink id={source} />}</td>
                <td class="mono">{preview(input)}</td>
              </tr>
            ))}
          </Table>
        )}
      </Panel>
      {scheduledSignals.length > 0 && (
        <Panel title="Scheduled signals">
          <Table head={['Due', 'Operation', 'Input', 'Id']}>
            {scheduledSignals.map(({ id, operation, due, input }) => (
              <tr key={id}>
                <td>
                  <Time t={due} />{' '}
                  <span class="muted">
                    (<Time t={due} relative />)
                  </span>
                </td>
                <td>{operation}</td>
                <td class="mono">{preview(input)}</td>
                <td class="mono">{id}</td>
              </tr>
            ))}
          </Table>
        </Panel>
      )}
    </>
  );
}
