/** Changes within this time are answered together. */
const COLLECT_MS = 250;
const SHORTEST_MS = 500;

/** Answers rare changes soon, and changes that keep coming less and less often. */
export class Pace {
  #next = -Infinity;
  #pause = SHORTEST_MS;

  constructor(readonly longest: number) {}

  /** Returns in how many milliseconds a change is answered. The next call follows after the answer. */
  wait(now: number): number {
    const isRare = now > this.#next + 2 * this.#pause;
    this.#pause = isRare ? SHORTEST_MS : Math.min(2 * this.#pause, this.longest);
    this.#next = Math.max(now + COLLECT_MS, this.#next + this.#pause);
    return this.#next - now;
  }
}
