/** Reading JSON whose shape is another program's and may change: what is not as expected is undefined, never an exception. */

export function toRecord(value: unknown): Record<string, unknown> | undefined {
  // An object that is no array is a record of unknowns.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
}

export function toRecords(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(toRecord).filter((entry) => entry !== undefined) : []
}

export function toText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function toNumber(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

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
