import { PageHead } from '../../components';
import { Activity } from './Activity';
import { Numbers } from './Numbers';
import { OldestWaiting } from './OldestWaiting';
import { TimelinePanel } from './TimelinePanel';
import { UnregisteredNotice } from './UnregisteredNotice';

/** The state of the hub at a glance. */
export function OverviewPage() {
  return (
    <>
      <PageHead title="Overview" />
      <UnregisteredNotice />
      <Numbers />
      <TimelinePanel />
      <div class="columns">
        <OldestWaiting />
        <Activity />
      </div>
    </>
  );
}
