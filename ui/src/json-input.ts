import { parse } from './exact';

export interface JsonInput {
  /** The value; `undefined` for an empty input and for an invalid one. */
  value: unknown;
  error: string | null;
}

/** Reads the JSON that somebody typed. */
export function readJson(text: string): JsonInput {
  if (text.trim() === '') return { value: undefined, error: null };
  try {
    return { value: parse(text), error: null };
  } catch (error) {
    return { value: undefined, error: `Invalid JSON: ${(error as Error).message}` };
  }
}
