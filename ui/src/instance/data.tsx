import { Panel, Payload } from '../components';
import { FailureBox } from './failure';
import type { InstanceModel } from './model';

/** Input, output, custom status and failure. */
export function DataTab({ model }: { model: InstanceModel }) {
  const status = model.status.value;
  if (!status) return null;
  const { failure, executionId, traceparent } = status;
  const payloads: [title: string, value: unknown][] = [
    ['Input', status.input],
    [failure ? 'Failure' : 'Output', status.output],
    ['Custom status', status.customStatus],
    ['Identity', { executionId, traceparent: traceparent ?? undefined }],
  ];
  return (
    <div class="columns">
      {payloads.map(([title, value]) => (
        <Panel key={title} title={title}>
          <div class="panel-body">
            {title === 'Failure' && failure ? <FailureBox failure={failure} /> : <Payload value={value} label={title} lines={30} />}
          </div>
        </Panel>
      ))}
    </div>
  );
}
