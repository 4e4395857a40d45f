import { cloneElement, type ComponentChildren, type VNode } from 'preact';
import { useId } from 'preact/hooks';

interface Props {
  label: ComponentChildren;
  hint?: string;
  /** The input. */
  children: VNode<any>;
}

/** An input with its label and a hint, which is not a part of its name. */
export function Field({ label, hint, children }: Props) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {cloneElement(children, { id, 'aria-describedby': hint && `${id}-hint` })}
      {hint && <small id={`${id}-hint`}>{hint}</small>}
    </div>
  );
}

interface TextProps {
  label: ComponentChildren;
  name: string;
  hint?: string;
  type?: 'text' | 'number' | 'password' | 'datetime-local';
  required?: boolean;
  disabled?: boolean;
  autofocus?: boolean;
  defaultValue?: string | number;
  /** Id of a list of values to choose from. */
  list?: string;
  min?: string;
  step?: string;
  onInput?: (event: { currentTarget: HTMLInputElement }) => void;
}

/** A text of a form with its label. */
export function TextField({ label, hint, ...input }: TextProps) {
  return (
    <Field label={label} hint={hint}>
      <input autocomplete="off" spellcheck={false} {...(input as { name: string })} />
    </Field>
  );
}

interface ChoiceProps {
  label: string;
  name: string;
  /** Values and their labels. */
  options: readonly (readonly [string, string])[];
  selected?: string;
  onChange?: (value: string) => void;
}

/** A choice of a form with its label. */
export function ChoiceField({ label, name, options, selected, onChange }: ChoiceProps) {
  return (
    <Field label={label}>
      <select name={name} onChange={(event) => onChange?.(event.currentTarget.value)}>
        {options.map(([value, text]) => (
          <option key={value} value={value} selected={value === selected}>
            {text}
          </option>
        ))}
      </select>
    </Field>
  );
}
