import * as z from 'zod'
import { ALL_MEMBERS_LIMIT, MEMBERS_LIMIT } from './limits.js'

export interface Crowded {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/**
 * Where JSON has more members than anybody means: to look at each, and to name each, would keep the process from
 * everybody else for seconds.
 */
export function findCrowded(whole: unknown): Crowded | undefined {
  const left: Place[] = []
  const push = (value: unknown, parent?: Place, key?: PropertyKey): void => {
    if (typeof value === 'object' && value !== null) left.push({ value, parent, key })
  }
  push(whole)
  let total = 0
  for (let next = left.pop(); next; next = left.pop()) {
    const { value } = next
    let members = 0
    for (const [key, member] of membersOf(value)) {
      if (Array.isArray(value) && (typeof member !== 'object' || member === null)) continue
      if ((members += 1) > MEMBERS_LIMIT)
        return { path: pathOf(next), message: `must not have more than ${MEMBERS_LIMIT} members` }
      push(member, next, key)
    }
    total += members
    if (total > ALL_MEMBERS_LIMIT)
      return { path: [], message: `must not have more than ${ALL_MEMBERS_LIMIT} members in all` }
  }
  return undefined
}

/** Its path is put together where it is told: those of all that is nested deeply are as long as its depth squared. */
interface Place {
  readonly value: object
  readonly parent: Place | undefined
  readonly key: PropertyKey | undefined
}

function pathOf(place: Place): PropertyKey[] {
  const path: PropertyKey[] = []
  for (let at: Place | undefined = place; at?.key !== undefined; at = at.parent) path.push(at.key)
  return path.toReversed()
}

/** Without a list of them all, which may be long. Of JSON: nothing is inherited. */
function* membersOf(value: object): Generator<[PropertyKey, unknown]> {
  if (Array.isArray(value)) yield* value.entries()
  // Safe: `in` gives the names of what is there.
  else for (const key in value) yield [key, (value as Record<string, unknown>)[key]]
}

/** The unknown fields of an object that takes known ones only: the first of them, and how many there are. */
export function findUnknownFields(
  schema: z.ZodType,
  input: unknown,
  shown: number,
): { readonly names: readonly string[]; readonly count: number } | undefined {
  if (!(schema instanceof z.ZodObject) || !(schema.def.catchall instanceof z.ZodNever)) return undefined
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return undefined
  const names: string[] = []
  let count = 0
  for (const name in input) {
    if (Object.hasOwn(schema.shape, name)) continue
    count += 1
    if (names.length < shown) names.push(name)
  }
  return { names, count }
}

/** Whether so many unknown fields are the whole answer, and nothing else of the object is looked at. */
export const areTooMany = ({ count }: { readonly count: number }): boolean => count > MEMBERS_LIMIT
