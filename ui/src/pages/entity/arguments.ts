import { readJson } from '../../json-input';

export interface Arguments {
  /** The body of the request; `undefined` for none. */
  body: unknown;
  /** Message for the first invalid argument. */
  error: string | null;
}

/**
 * Builds the body for an operation from the text of each parameter. One parameter is sent as it is, several as an
 * object of their names. An empty text is `null`.
 */
export function argumentsOf(parameters: readonly string[], texts: Readonly<Record<string, string>>): Arguments {
  const values: [string, unknown][] = [];
  for (const name of parameters) {
    const { value, error } = readJson(texts[name] ?? '');
    if (error) return { body: undefined, error: `${name}: ${error}` };
    values.push([name, value ?? null]);
  }
  if (values.length === 0) return { body: undefined, error: null };
  return { body: values.length === 1 ? values[0]![1] : Object.fromEntries(values), error: null };
}
