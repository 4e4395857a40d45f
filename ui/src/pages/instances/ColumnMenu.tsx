import { Menu } from '../../components';
import { words } from '../../format';
import { setQuery } from '../../router';
import { CHOICES, DEFAULT_COLUMNS } from './columns';

/** Chooses the columns of the list. */
export function ColumnMenu({ chosen }: { chosen: readonly string[] }) {
  function toggle(id: string): void {
    const next = chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id];
    const isDefault = next.length === DEFAULT_COLUMNS.length && DEFAULT_COLUMNS.every((id) => next.includes(id));
    setQuery({ cols: isDefault ? null : next.join(',') || 'none' });
  }
  return (
    <Menu label="Columns" right>
      {CHOICES.map((id) => (
        <label class="check" key={id}>
          <input type="checkbox" checked={chosen.includes(id)} onChange={() => toggle(id)} />
          {words(id)}
        </label>
      ))}
    </Menu>
  );
}
