/** How fast something has moved over the last while. */
export class RateMeter {
  #marks: { at: number; done: number }[] = [];

  constructor(private readonly windowMs = 10_000) {}

  /** Says how far it is at an instant in milliseconds; returns how much a second, `null` until that can be told. */
  at(now: number, done: number): number | null {
    this.#marks.push({ at: now, done });
    while (this.#marks.length > 2 && now - (this.#marks[1]?.at ?? now) >= this.windowMs) this.#marks.shift();
    const first = this.#marks[0];
    if (first === undefined || now - first.at <= 0) return null;
    return ((done - first.done) * 1000) / (now - first.at);
  }

  /** Begins anew: a pause is no slowness. */
  restart(): null {
    this.#marks = [];
    return null;
  }
}
