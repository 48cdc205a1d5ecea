const DAY_MS = 24 * 60 * 60 * 1_000

/** A time zone: how far its clocks are from UTC, at a moment. */
export interface Zone {
  /** Milliseconds that its clocks are ahead. */
  offsetAt(moment: number): number
}

/** Clocks are set at a quarter of an hour, by UTC, wherever that is done today. */
const STEP_MS = 15 * 60 * 1_000
/** Of one zone: a day on which clocks are set needs some hundred. Then they are asked for again. */
const REMEMBERED = 1_000

/** Making one takes a hundred times as long as asking it. Names are those that Intl knows, some hundreds. */
const zones = new Map<string, Zone>()

/** @throws RangeError where there is no such zone */
export function openZone(name: string): Zone {
  const key = name.toLowerCase()
  const known = zones.get(key)
  if (known) return known
  // A bare offset is no place: nothing would say when its clocks change, and older Node.js does not know it.
  if (!/^[A-Za-z]/.test(name)) throw new RangeError(`Invalid time zone specified: ${name}`)
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  function askOffset(moment: number): number {
    const shown: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {}
    for (const { type, value } of format.formatToParts(moment)) shown[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = shown
    return Date.UTC(year, month - 1, day, hour, minute, second) - moment
  }
  const offsets = new Map<number, number>()
  const zone: Zone = {
    offsetAt(moment) {
      const step = Math.floor(moment / STEP_MS) * STEP_MS
      let offset = offsets.get(step)
      if (offset === undefined) {
        if (offsets.size >= REMEMBERED) offsets.clear()
        offset = askOffset(step)
        offsets.set(step, offset)
      }
      return offset
    },
  }
  zones.set(key, zone)
  return zone
}

/**
 * When a place's clocks show a time, given as if it were UTC: one moment as a rule. Where the clocks are set back and
 * show it twice, both, the earlier one first. Where they are set forward and never show it, the moment that is as long
 * after the last one before the gap as if there were none: 02:30 becomes 03:30.
 */
export function toMoments(local: number, zone: Zone): readonly number[] {
  const before = zone.offsetAt(local - DAY_MS)
  const after = zone.offsetAt(local + DAY_MS)
  const found = [...new Set([local - before, local - after])].filter(
    (moment) => zone.offsetAt(moment) === local - moment,
  )
  return found.length === 0 ? [local - before] : found.toSorted((one, other) => one - other)
}

/** Whether no clock is set within a day of this local day. */
export function isPlain(localDay: number, zone: Zone): boolean {
  return zone.offsetAt(localDay - DAY_MS) === zone.offsetAt(localDay + 2 * DAY_MS)
}
