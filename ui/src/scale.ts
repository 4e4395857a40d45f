/** Returns up to `most` + 1 round numbers from 0 to at least `highest`, for the axis of a chart. */
export function ticks(highest: number, most = 4): number[] {
  const step = Math.max(1, roundStep(Math.max(highest, 1) / most));
  const result = [0];
  while (result.at(-1)! < highest || result.length < 2) result.push(result.length * step);
  return result;
}

/** Returns the least of the steps 1, 2, 5, 10, 20, 50 and so on that is at least `rough`. */
export function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5].map((digit) => digit * power).find((step) => step >= rough) ?? power * 10;
}
