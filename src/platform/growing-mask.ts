import { createSecretMask, type SecretMask } from './secret-mask.js'

/** A mask that learns of further secrets while it is in use, and forgets none. */
export interface GrowingMask extends SecretMask {
  add(secrets: Iterable<string>): void
}

export function createGrowingMask(secrets: Iterable<string>): GrowingMask {
  let current = createSecretMask(secrets)
  return {
    holds: (text) => current.holds(text),
    text: (text) => current.text(text),
    line: (line) => current.line(line),
    value: (value) => current.value(value),
    pendingLength: (text, before) => current.pendingLength(text, before),
    with: (more) => current.with(more),
    add(more) {
      current = current.with(more)
    },
  }
}
