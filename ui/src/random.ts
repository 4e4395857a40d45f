/** Returns a text that occurs once. `crypto.randomUUID` is missing in pages that are not served from a safe origin. */
export function uniqueText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
