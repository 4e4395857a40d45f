import { useState } from 'preact/hooks';
import { path, send } from '../../api';
import { ChoiceField, Field, FormDialog, JsonField, TextField } from '../../components';
import { json } from '../../format';
import { hub, timeZone } from '../../store';
import { toInput } from '../../text';
import type { CatchUp, Schedule } from '../../types';
import { planOf } from './plan';

interface Props {
  /** The schedule to change; `null` for a new one. */
  schedule: Schedule | null;
  onClose: () => void;
  onSaved: () => void;
}

/** Creates a schedule or changes its plan. */
export function ScheduleDialog({ schedule, onClose, onSaved }: Props) {
  const zone = timeZone.value;
  const [input, setInput] = useState(schedule?.input == null ? '' : json(schedule.input));
  const [isCron, setCron] = useState(schedule?.everySeconds == null);
  const [catchUp, setCatchUp] = useState<CatchUp>(schedule?.catchUp ?? 'RunOnce');

  async function save(data: FormData): Promise<void> {
    const id = schedule?.id ?? String(data.get('id')).trim();
    await send('PUT', path`/schedules/${id}`, planOf(data, input, zone));
    onSaved();
  }

  return (
    <FormDialog
      title={schedule ? `Edit ${schedule.id}` : 'New schedule'}
      action="Save"
      wide
      onSubmit={save}
      onClose={onClose}
    >
      <div class="fields">
        <TextField label="Id" name="id" required defaultValue={schedule?.id} disabled={schedule !== null} />
        <TextField
          label="Orchestration"
          name="orchestration"
          required
          list="schedule-types"
          defaultValue={schedule?.orchestration}
        />
        <datalist id="schedule-types">
          {hub.value?.orchestrations.map(({ name }) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <ChoiceField
          label="Recurrence"
          name="kind"
          selected={isCron ? 'cron' : 'every'}
          options={[
            ['cron', 'Cron pattern in UTC'],
            ['every', 'Interval'],
          ]}
          onChange={(kind) => setCron(kind === 'cron')}
        />
        {isCron ? (
          <TextField
            key="cron"
            label="Cron pattern"
            name="cron"
            required
            defaultValue={schedule?.cron ?? '0 * * * *'}
            hint="Minute, hour, day of month, month, day of week."
          />
        ) : (
          <TextField
            key="every"
            label="Seconds between two runs"
            name="everySeconds"
            type="number"
            min="0.001"
            step="any"
            required
            defaultValue={schedule?.everySeconds ?? 3_600}
          />
        )}
        <TextField
          label="Version"
          name="version"
          defaultValue={schedule?.version ?? ''}
          hint="Empty: the newest at each run."
        />
        <ChoiceField
          label="Runs that were missed"
          name="catchUp"
          selected={catchUp}
          options={[
            ['Skip', 'Skip them'],
            ['RunOnce', 'Run once'],
            ['RunAll', 'Run all'],
          ]}
          onChange={(policy) => setCatchUp(policy as CatchUp)}
        />
        <TextField
          label={`First run not before (${zone === 'utc' ? 'UTC' : 'local time'})`}
          name="from"
          type="datetime-local"
          step="1"
          defaultValue={toInput(schedule?.from, zone)}
        />
        <TextField
          label="Last run before"
          name="until"
          type="datetime-local"
          step="1"
          defaultValue={toInput(schedule?.until, zone)}
        />
        {catchUp === 'RunAll' && (
          <TextField
            label="Most missed runs at one time"
            name="catchUpAtMost"
            type="number"
            min="1"
            defaultValue={schedule?.catchUpAtMost ?? ''}
          />
        )}
      </div>
      <JsonField label="Input (JSON)" text={input} onChange={setInput} hint="Empty means null." />
      <Field label="Tags" hint="One per line: key=value">
        <textarea
          name="tags"
          rows={2}
          spellcheck={false}
          defaultValue={Object.entries(schedule?.tags ?? {})
            .map((tag) => tag.join('='))
            .join('\n')}
        />
      </Field>
      {!schedule && (
        <label class="check">
          <input type="checkbox" name="paused" />
          Create it paused
        </label>
      )}
    </FormDialog>
  );
}
