// Reads JSON without changing its numbers. A program may store integers of 64 bits, which do not fit into a number of
// JavaScript.

interface Source {
  source?: string;
}
interface RawJson {
  rawJSON?: (text: string) => unknown;
}
type Reviver = (key: string, value: unknown, context?: Source) => unknown;

const raw = JSON as RawJson;

/** Parses JSON. Numbers that JavaScript cannot represent are kept as their text, which `JSON.stringify` writes back. */
export function parse(text: string): unknown {
  // Reading with a reviver is several times slower, and few documents have a number of so many digits.
  const { rawJSON } = raw;
  if (!rawJSON || !/\d{16}/.test(text)) return JSON.parse(text);
  const keep: Reviver = (_, value, context) =>
    typeof value === 'number' && context?.source && !isExact(value, context.source) ? rawJSON(context.source) : value;
  return JSON.parse(text, keep as (key: string, value: unknown) => unknown);
}

function isExact(value: number, source: string): boolean {
  if (Number.isInteger(value) && /^-?\d+$/.test(source)) return Number.isSafeInteger(value);
  return String(value).replace(/\D/g, '').length >= source.replace(/e.*$/i, '').replace(/\D|0+$/g, '').length;
}
