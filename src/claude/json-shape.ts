/**
 * Reading JSON whose shape is another program's and may change: what is not as expected is undefined, never an
 * exception.
 */

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function toRecord(value: unknown): Record<string, unknown> | undefined {
  return isRecord(value) ? value : undefined
}

export function toRecords(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

export function toText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** More than any run can use; what is counted is added up with others' in whole numbers that have an end. */
const MOST_COUNTED = 1e12
const MOST_USD = 1e6

const toAmount = (value: unknown, most: number): number =>
  typeof value === 'number' ? Math.min(Math.max(value, 0), most) : 0

/** A number of things: whole, not below 0, and not beyond all bounds, as `1e999` is. */
export const toCount = (value: unknown): number => Math.round(toAmount(value, MOST_COUNTED))

export const toDollars = (value: unknown): number => toAmount(value, MOST_USD)

/** At most `limit` UTF-16 units, never half of a surrogate pair. */
export function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text
  const last = text.charCodeAt(limit - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit)
}

/** JSON of a value that came from JSON; one nested too deeply to be written again gives a note instead. */
export function toJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null'
  } catch {
    return '"(nested too deeply)"'
  }
}
