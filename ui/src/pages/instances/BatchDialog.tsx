import { useState } from 'preact/hooks';
import { BATCH_EFFECTS, startBatch } from '../../batch';
import { ChoiceField, Confirm, JsonField, TextField, toast } from '../../components';
import { readJson } from '../../json-input';
import type { BatchAction, BatchFilter } from '../../types';
import { BatchStarted } from '../batches/BatchAction';

interface Props {
  target: { ids?: string[]; filter?: BatchFilter };
  /** The target in words. */
  text: string;
  onClose: () => void;
  onDone: () => void;
}

/** Chooses an action on many instances and asks whether it is meant. */
export function BatchDialog({ target, text, onClose, onDone }: Props) {
  const [action, setAction] = useState<BatchAction>('terminate');
  const [payload, setPayload] = useState('');
  const { label, effect, danger, hasReason } = BATCH_EFFECTS[action];

  async function run(data: FormData): Promise<void> {
    const input = readJson(payload);
    if (input.error) throw new Error(input.error);
    const more =
      action === 'raiseEvent'
        ? { event: String(data.get('event')).trim(), payload: input.value ?? null }
        : { reason: String(data.get('reason') ?? '') || undefined };
    toast(<BatchStarted batch={await startBatch({ action, ...more, ...target })} />);
    onDone();
    onClose();
  }

  return (
    <Confirm title="Action on many instances" action={label} danger={danger} onConfirm={run} onCancel={onClose}>
      <ChoiceField
        label="Action"
        name="action"
        options={Object.entries(BATCH_EFFECTS).map(([action, { label }]) => [action, label])}
        onChange={(action) => setAction(action as BatchAction)}
      />
      <p>
        This concerns <strong>{text}</strong>. {effect}
      </p>
      {action === 'raiseEvent' && (
        <>
          <TextField label="Name of the event" name="event" required />
          <JsonField label="Payload (JSON)" text={payload} onChange={setPayload} hint="Empty means null." />
        </>
      )}
      {hasReason && <TextField label="Reason" name="reason" hint="Recorded in the history of each instance." />}
    </Confirm>
  );
}
