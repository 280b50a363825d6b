/** Passes on the newest of what comes one after the other, no more often than so, and the last in any case. */
export class Paced<T> {
  #waiting: { value: T; timer: ReturnType<typeof setTimeout> } | null = null;

  constructor(
    private readonly everyMs: number,
    private readonly pass: (value: T) => void,
  ) {}

  put(value: T): void {
    if (this.#waiting !== null) this.#waiting.value = value;
    else this.#waiting = { value, timer: setTimeout(() => this.flush(), this.everyMs) };
  }

  /** Passes on at once what waits. */
  flush(): void {
    if (this.#waiting === null) return;
    const { value, timer } = this.#waiting;
    clearTimeout(timer);
    this.#waiting = null;
    this.pass(value);
  }
}
