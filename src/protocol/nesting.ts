const DEEPEST = 100
export const TOO_DEEP = `must not be nested deeper than ${DEEPEST} levels`

/**
 * JSON of any depth can be parsed, and nothing that walks it can be sure of its stack: what is taken as it comes is
 * bounded.
 */
export function isShallow(value: unknown, levels = DEEPEST): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((part) => isShallow(part, levels - 1))
}
