import { Panel, Segments } from '../../components';
import { areShortcutsOn, theme, timeZone } from '../../settings';

/** Choices that this browser remembers. */
export function Preferences() {
  return (
    <Panel title="This browser">
      <div class="panel-body">
        <dl class="facts choices">
          <dt>Theme</dt>
          <dd>
            <Segments
              label="Theme"
              options={[
                { id: 'system', label: 'System' },
                { id: 'light', label: 'Light' },
                { id: 'dark', label: 'Dark' },
              ]}
              selected={theme.value}
              onSelect={(id) => (theme.value = id)}
            />
          </dd>
          <dt>Times</dt>
          <dd>
            <Segments
              label="Time zone"
              options={[
                { id: 'local', label: Intl.DateTimeFormat().resolvedOptions().timeZone || 'Local' },
                { id: 'utc', label: 'UTC' },
              ]}
              selected={timeZone.value}
              onSelect={(id) => (timeZone.value = id)}
            />
          </dd>
          <dt>Shortcuts</dt>
          <dd>
            <Segments
              label="Keyboard shortcuts"
              options={[
                { id: 'on', label: 'On' },
                { id: 'off', label: 'Off' },
              ]}
              selected={areShortcutsOn.value}
              onSelect={(id) => (areShortcutsOn.value = id)}
            />
          </dd>
        </dl>
      </div>
    </Panel>
  );
}
