import { PageHead } from '../../components';
import { HubPanel } from './HubPanel';
import { Preferences } from './Preferences';
import { RegisteredPanel } from './RegisteredPanel';
import { ShortcutPanel } from './ShortcutPanel';
import { StatsPanel } from './StatsPanel';

/** The hub, its health, and the choices of this browser. */
export function SettingsPage() {
  return (
    <>
      <PageHead title="Settings and health" />
      <div class="columns">
        <div>
          <HubPanel />
          <Preferences />
          <RegisteredPanel />
        </div>
        <div>
          <StatsPanel />
          <ShortcutPanel />
        </div>
      </div>
    </>
  );
}
