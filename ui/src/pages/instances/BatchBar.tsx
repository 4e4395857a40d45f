import { useState } from 'preact/hooks';
import { count, counted } from '../../format';
import { BatchDialog } from './BatchDialog';
import { batchFilter, type Filter } from './filter';

interface Props {
  selected: ReadonlySet<string>;
  filter: Filter;
  /** Number of instances that match the filter, if it is known. */
  matching: number | null;
  /** Number of matching instances that are loaded. */
  atLeast: number;
  onClear: () => void;
}

/** Actions on the selected instances, or on all that match the filter. */
export function BatchBar({ selected, filter, matching, atLeast, onClear }: Props) {
  const [open, setOpen] = useState<'selected' | 'all' | null>(null);
  const matched = matching === null ? `at least ${count(atLeast)}` : count(matching);
  return (
    <div class="row">
      {selected.size > 0 && (
        <>
          <button type="button" onClick={() => setOpen('selected')}>
            Actions on {count(selected.size)} selected…
          </button>
          <button type="button" class="quiet" onClick={onClear}>
            Unselect
          </button>
        </>
      )}
      {atLeast > 0 && (
        <button type="button" class="quiet" onClick={() => setOpen('all')}>
          Actions on all ({matched})…
        </button>
      )}
      {open && (
        <BatchDialog
          target={open === 'all' ? { filter: batchFilter(filter) } : { ids: [...selected] }}
          text={
            open === 'all'
              ? `all instances that match the filter, ${matched} now`
              : counted(selected.size, 'selected instance')
          }
          onClose={() => setOpen(null)}
          onDone={onClear}
        />
      )}
    </div>
  );
}
