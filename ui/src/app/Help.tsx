import { Dialog, Table } from '../components';
import { PAGES } from './pages';
import { isHelpShown } from './shortcuts';

const KEYS: (readonly [string, string])[] = [
  ['/', 'Search'],
  ['?', 'Show this help'],
  ['↑ ↓ or j k', 'Move within a list'],
  ['Page Up, Page Down, Home, End', 'Move further within a list'],
  ['Enter', 'Open the row of a list'],
  ['Space', 'Select the row of a list'],
  ['← →', 'Switch between tabs, or read a chart'],
  ['Escape', 'Close a dialog'],
  ...PAGES.map(({ key, title }) => [`g ${key}`, `Go to ${title}`] as const),
];

/** The keyboard shortcuts as a table. */
export function ShortcutTable() {
  return (
    <Table head={['Keys', 'Action']}>
      {KEYS.map(([keys, action]) => (
        <tr key={keys}>
          <td>
            <kbd>{keys}</kbd>
          </td>
          <td>{action}</td>
        </tr>
      ))}
    </Table>
  );
}

export function Help() {
  if (!isHelpShown.value) return null;
  return (
    <Dialog title="Keyboard shortcuts" onClose={() => (isHelpShown.value = false)}>
      <ShortcutTable />
    </Dialog>
  );
}
