import { InstanceLink, Panel, Payload, Table, Time } from '../../components';
import type { EntityDetails } from '../../types';

/** The newest changes, for types that keep an audit. */
export function Changes({ changes = [] }: Pick<EntityDetails, 'changes'>) {
  if (changes.length === 0) return null;
  return (
    <Panel title="Changes">
      <Table head={['Time', 'Operation', 'From', 'State after it']}>
        {changes.map(({ time, operation, source, state }, at) => (
          <tr key={at}>
            <td>
              <Time t={time} />
            </td>
            <td>{operation}</td>
            <td>{source === null ? <span class="muted">a client</span> : <InstanceLink id={source} />}</td>
            <td>
              <Payload value={state} label={`State after ${operation}`} lines={4} />
            </td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}
