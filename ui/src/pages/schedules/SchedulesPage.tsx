import { useState } from 'preact/hooks';
import { ListPanel, PageHead } from '../../components';
import { canOperate } from '../../store';
import type { Schedule } from '../../types';
import { useChanges } from '../../use-changes';
import { useList } from '../../use-list';
import { ScheduleDialog } from './ScheduleDialog';
import { ScheduleRow } from './ScheduleRow';

const EVERY_MS = 5_000;

/** Schedules, which start orchestrations repeatedly. */
export function SchedulesPage() {
  useChanges();
  const list = useList<Schedule>('/schedules', {}, EVERY_MS);
  const [edited, setEdited] = useState<Schedule | 'new' | null>(null);
  return (
    <>
      <PageHead title="Schedules">
        {canOperate.value && (
          <button type="button" class="primary" onClick={() => setEdited('new')}>
            New schedule
          </button>
        )}
      </PageHead>
      <ListPanel
        title="All schedules"
        list={list}
        empty="There are no schedules"
        about="A schedule starts an orchestration by a cron pattern or an interval."
        head={['Id', 'Orchestration', 'Recurrence', 'Next run', 'Last run']}
        end={['Runs']}
        actions
        row={(schedule) => (
          <ScheduleRow key={schedule.id} schedule={schedule} reload={list.reload} onEdit={() => setEdited(schedule)} />
        )}
      />
      {edited && (
        <ScheduleDialog
          schedule={edited === 'new' ? null : edited}
          onClose={() => setEdited(null)}
          onSaved={() => {
            setEdited(null);
            list.reload();
          }}
        />
      )}
    </>
  );
}
