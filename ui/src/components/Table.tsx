import type { ComponentChildren } from 'preact';

interface Props {
  /** Headings of the columns that are aligned at their start. */
  head: readonly string[];
  /** Headings of the columns after them, which are aligned at their end: numbers and ages. */
  end?: readonly string[];
  /** True if a column with buttons follows. */
  actions?: boolean;
  /** The rows. */
  children: ComponentChildren;
}

/** A table that scrolls sideways if it does not fit. */
export function Table({ head, end, actions, children }: Props) {
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            {head.map((text) => (
              <th key={text}>{text}</th>
            ))}
            {end?.map((text) => (
              <th key={text} class="end">
                {text}
              </th>
            ))}
            {actions && (
              <th>
                <span class="visually-hidden">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
