import { useLayoutEffect, useState } from "preact/hooks";

/** A value that the page watches. */
export class Store<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();

  constructor(initial: T) {
    this.#value = initial;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  }

  update(change: (value: T) => T): void {
    this.set(change(this.#value));
  }

  /** Calls back at each change, until what it returns is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The store's value, now and after each change. */
export function useStore<T>(store: Store<T>): T {
  const [, setSeen] = useState(store.value);
  useLayoutEffect(() => {
    setSeen(() => store.value);
    return store.subscribe(() => setSeen(() => store.value));
  }, [store]);
  return store.value;
}
