import { createHash } from 'node:crypto'

/** Chance that can be had again: the same seed gives the same numbers, and each branch its own. */
export interface Random {
  readonly seed: string
  /** A whole number from `low` up to and without `high`. */
  between(low: number, high: number): number
  pick<Item>(items: readonly [Item, ...Item[]] | readonly Item[]): Item
  shuffle<Item>(items: readonly Item[]): Item[]
  /** For something that goes on beside: what it draws does not change what the others draw. */
  branch(name: string): Random
}

export function openRandom(seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readUInt32LE()
  /** Mulberry32: 0 up to and without 1. */
  function next(): number {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low))
  function pick<Item>(items: readonly Item[]): Item {
    const item = items[between(0, items.length)]
    if (item === undefined) throw new Error('there is nothing to pick from')
    return item
  }
  return {
    seed,
    between,
    pick,
    shuffle(items) {
      const rest = [...items]
      return items.map(() => rest.splice(between(0, rest.length), 1)[0] as (typeof items)[number])
    },
    branch: (name) => openRandom(`${seed}/${name}`),
  }
}
