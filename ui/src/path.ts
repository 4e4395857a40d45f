/** Builds the path of a request. Every inserted value is encoded, so that it stays within its segment. */
export function path(strings: TemplateStringsArray, ...values: (string | number)[]): string {
  return strings.reduce((whole, text, index) => whole + segment(values[index - 1] ?? '') + text);
}

/** Encodes one segment of a path. */
export function segment(value: string | number): string {
  const text = String(value);
  // Browsers resolve dot segments before they send a request, also encoded ones, so no encoding helps.
  if (/^(\.|%2e){1,2}$/i.test(text)) throw new Error(`"${text}" is not an id`);
  return encodeURIComponent(text);
}

/** Returns the segments of an entity. The empty key is written as `$`. */
export function entitySegments(name: string, key: string): string {
  return `${segment(name)}/${key === '' ? '$' : segment(key)}`;
}
