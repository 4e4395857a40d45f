import { ShortcutTable } from '../../app/Help';
import { Panel } from '../../components';

export function ShortcutPanel() {
  return (
    <Panel title="Keyboard shortcuts">
      <ShortcutTable />
    </Panel>
  );
}
