import { PageHead } from '../../components';
import { useChanges } from '../../use-changes';
import { Activity } from './Activity';
import { Numbers } from './Numbers';
import { OldestWaiting } from './OldestWaiting';
import { TimelinePanel } from './TimelinePanel';
import { UnregisteredNotice } from './UnregisteredNotice';

/** The state of the hub at a glance. */
export function OverviewPage() {
  const stats = useChanges();
  return (
    <>
      <PageHead title="Overview" />
      <UnregisteredNotice />
      <Numbers />
      <TimelinePanel />
      <div class="columns">
        <OldestWaiting />
        <Activity stats={stats} />
      </div>
    </>
  );
}
