interface Joining<Item> {
  /** So many are done at once. */
  readonly most: number
  /** Whether another one may come along; what may not is done by itself, in its order. */
  readonly fits?: (item: Item, first: Item) => boolean
}

interface Waiting<Item, Answer> {
  readonly item: Item
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/**
 * Calls that come within one turn of Node's loop are done together: `doAll` settles each of them, and where it fails as
 * a whole, all of them do.
 */
export function joinCalls<Item, Answer>(
  { most, fits = () => true }: Joining<Item>,
  doAll: (items: readonly Item[]) => Promise<ReadonlyArray<Answer | Error>>,
): (item: Item) => Promise<Answer> {
  let waiting: Array<Waiting<Item, Answer>> = []
  let isDue = false

  async function settle(calls: ReadonlyArray<Waiting<Item, Answer>>): Promise<void> {
    try {
      const answers = await doAll(calls.map(({ item }) => item))
      for (const [index, { resolve, reject }] of calls.entries()) {
        const answer = answers[index]
        if (answer === undefined || answer instanceof Error) reject(answer ?? new Error('no answer'))
        else resolve(answer)
      }
    } catch (error) {
      for (const { reject } of calls) reject(error)
    }
  }
  function flush(): void {
    const calls = waiting
    waiting = []
    if (calls.length > 0) void settle(calls)
  }
  function flushAtEnd(): void {
    isDue = false
    flush()
  }

  return (item) =>
    new Promise((resolve, reject) => {
      const [first] = waiting
      if (first && !fits(item, first.item)) flush()
      waiting.push({ item, resolve, reject })
      if (waiting.length >= most) flush()
      else if (!isDue) {
        isDue = true
        setImmediate(flushAtEnd)
      }
    })
}
