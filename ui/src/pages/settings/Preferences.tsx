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
              options={[{ id: 'system' }, { id: 'light' }, { id: 'dark' }]}
              selected={theme.value}
              onSelect={(id) => (theme.value = id)}
            />
          </dd>
          <dt>Times</dt>
          <dd>
            <Segments
              label="Time zone"
              options={[
                { id: 'local', label: `Local (${Intl.DateTimeFormat().resolvedOptions().timeZone})` },
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
              options={[{ id: 'on' }, { id: 'off' }]}
              selected={areShortcutsOn.value}
              onSelect={(id) => (areShortcutsOn.value = id)}
            />
          </dd>
        </dl>
      </div>
    </Panel>
  );
}
