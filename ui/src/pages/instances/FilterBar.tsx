import type { ComponentChildren } from 'preact';
import { Field, Link, Menu, SearchField } from '../../components';
import { words } from '../../format';
import { RANGES, rangeOf } from '../../ranges';
import { href, route, setQuery } from '../../router';
import { hub, timeZone } from '../../store';
import { fromInput, toInput } from '../../text';
import { STATUSES } from '../../types';
import type { Filter } from './filter';

interface Props {
  filter: Filter;
  /** Buttons at the end of the line. */
  children?: ComponentChildren;
}

/** The inputs of the filter. Each writes to the address, from which the list reads. */
export function FilterBar({ filter, children }: Props) {
  const { query } = route.value;
  const statuses = query.getAll('status');
  const hasFilter = [...query.keys()].some((key) => !['cols', 'live'].includes(key));
  return (
    <div class="filters" role="search" aria-label="Filter of the instances">
      <SearchField label="Id begins with" value={filter.prefix} onApply={(prefix) => setQuery({ prefix })} main />
      <TypeFilter selected={filter.name} />
      <Menu label={statuses.length === 0 ? 'Any status' : statuses.map(words).join(', ')} active={statuses.length > 0}>
        {STATUSES.map((status) => (
          <label class="check" key={status}>
            <input
              type="checkbox"
              checked={statuses.includes(status)}
              onChange={(event) =>
                setQuery({
                  status: event.currentTarget.checked
                    ? [...statuses, status]
                    : statuses.filter((other) => other !== status),
                })
              }
            />
            {words(status)}
          </label>
        ))}
      </Menu>
      <TimeFilter />
      <SearchField
        label="Tag, key=value"
        value={filter.tags.join(' ')}
        onApply={(text) => setQuery({ tag: text.split(/\s+/).filter((tag) => tag.includes('=')) })}
      />
      {filter.unregistered && (
        <button
          type="button"
          onClick={() => setQuery({ unregistered: null })}
          aria-label="Remove the filter: missing code"
        >
          Missing code ✕
        </button>
      )}
      {hasFilter && <Link to={href(['instances'])}>Clear</Link>}
      {children}
    </div>
  );
}

function TypeFilter({ selected }: { selected: string }) {
  const known = hub.value?.orchestrations.map(({ name }) => name) ?? [];
  const names = selected === '' || known.includes(selected) ? known : [...known, selected];
  return (
    <select aria-label="Type" value={selected} onChange={(event) => setQuery({ name: event.currentTarget.value })}>
      <option value="">Any type</option>
      {names.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

const ANY_TIME = 'Any time';

function TimeFilter() {
  const { query } = route.value;
  const since = query.get('since') ?? '';
  const from = query.get('from');
  const to = query.get('to');
  const zone = timeZone.value;
  const range = rangeOf(since);
  const label = range ? `Last ${range.id}` : from || to ? 'Chosen time' : ANY_TIME;
  const set = (name: string) => (event: { currentTarget: HTMLInputElement }) =>
    setQuery({ since: null, [name]: fromInput(event.currentTarget.value, zone) });
  return (
    <Menu label={label} active={label !== ANY_TIME}>
      {['', ...RANGES.map(({ id }) => id)].map((id) => {
        const text = id === '' ? ANY_TIME : `Last ${id}`;
        return (
          <label class="check" key={id}>
            <input
              type="radio"
              name="since"
              checked={label === text}
              onChange={() => setQuery({ since: id, from: null, to: null })}
            />
            {text}
          </label>
        );
      })}
      <Field label={`Created from (${zone === 'utc' ? 'UTC' : 'local time'})`}>
        <input type="datetime-local" step={1} value={toInput(from, zone)} onChange={set('from')} />
      </Field>
      <Field label="Created before">
        <input type="datetime-local" step={1} value={toInput(to, zone)} onChange={set('to')} />
      </Field>
    </Menu>
  );
}
