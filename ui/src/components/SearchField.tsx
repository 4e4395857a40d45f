import { useEffect, useState } from 'preact/hooks';

/** Pause in typing after which a text is applied. */
const TYPING_MS = 300;

interface Props {
  label: string;
  /** The text that is applied now. */
  value: string;
  onApply: (text: string) => void;
  /** True for the input that the shortcut `/` focuses. */
  main?: boolean;
}

/** A text of a filter, which is applied after a pause in typing. */
export function SearchField({ label, value, onApply, main }: Props) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onApply(text.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <input
      class="grow"
      type="search"
      aria-label={label}
      placeholder={label}
      value={text}
      onInput={(event) => setText(event.currentTarget.value)}
      autocomplete="off"
      spellcheck={false}
      data-search={main}
    />
  );
}
