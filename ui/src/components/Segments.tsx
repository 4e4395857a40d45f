import { words } from '../format';

interface Props<T extends string> {
  label: string;
  /** The values. The label is made of the id if there is none. */
  options: readonly { id: T; label?: string }[];
  selected: T;
  onSelect: (id: T) => void;
}

/** A choice among a few values. */
export function Segments<T extends string>({ label, options, selected, onSelect }: Props<T>) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map((option) => (
        <button key={option.id} type="button" aria-pressed={option.id === selected} onClick={() => onSelect(option.id)}>
          {option.label ?? words(option.id)}
        </button>
      ))}
    </div>
  );
}
