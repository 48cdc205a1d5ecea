/**
 * Whoever opens also closes: an acquisition pushes its releaser on the next line.
 * Releasers run last in, first out, also after a half-failed start and also when one of them throws.
 */
export class Lifetime {
  readonly #releasers: Array<{ name: string; release: () => Promise<void> | void }> = []
  #closing: Promise<void> | undefined

  /** Registers what must be released; returns the resource, so that acquiring and owning stand on one line. */
  own<Resource>(name: string, resource: Resource, release: (resource: Resource) => Promise<void> | void): Resource {
    this.#releasers.push({ name, release: () => release(resource) })
    return resource
  }

  /** Idempotent; concurrent callers share one promise. Rejects with what the releasers threw, after all have run. */
  close(): Promise<void> {
    this.#closing ??= this.#releaseAll()
    return this.#closing
  }

  async #releaseAll(): Promise<void> {
    const failures: Error[] = []
    for (let entry = this.#releasers.pop(); entry; entry = this.#releasers.pop()) {
      try {
        await entry.release()
      } catch (cause) {
        failures.push(new Error(`could not release ${entry.name}`, { cause }))
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map((failure) => failure.message).join('; '))
  }
}

/** Runs `open` with a lifetime which is closed when it fails half-way. */
export async function openWithin<Result>(open: (lifetime: Lifetime) => Promise<Result>): Promise<Result> {
  const lifetime = new Lifetime()
  try {
    return await open(lifetime)
  } catch (error) {
    await lifetime.close().catch(() => undefined)
    throw error
  }
}
