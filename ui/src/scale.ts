/** Returns up to `most` + 1 round numbers from 0 to at least `highest`, for the axis of a chart. */
export function ticks(highest: number, most = 4): number[] {
  const raw = Math.max(highest, 1) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw) ?? raw);
  const result = [0];
  while (result.at(-1)! < highest || result.length < 2) result.push(result.length * step);
  return result;
}
