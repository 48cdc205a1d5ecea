const DAY_MS = 86_400_000

/** `4.2 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1_000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}

/** `$0.0123`: small sums keep two digits that count. */
export function formatCost(dollars: number): string {
  if (dollars === 0) return '$0'
  return `$${dollars < 0.1 ? dollars.toFixed(4) : dollars.toFixed(2)}`
}

const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
export const formatCount = (count: number): string =>
  count < 10_000 ? count.toLocaleString('en') : COMPACT.format(count)

export function formatBytes(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`
  if (bytes < 1_048_576) return `${(bytes / 1_024).toFixed(1)} KiB`
  return `${(bytes / 1_048_576).toFixed(1)} MiB`
}

const TIME = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const EXACT = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const DATE = new Intl.DateTimeFormat('en', { month: 'short', day: 'numeric' })

/** The time of today, `Nov 28, 14:05` before. */
export function formatTime(at: string, now = Date.now()): string {
  const date = new Date(at)
  const isToday = now - date.getTime() < DAY_MS && new Date(now).getDate() === date.getDate()
  return isToday ? TIME.format(date) : `${DATE.format(date)}, ${TIME.format(date)}`
}

export const formatExactTime = (at: string): string => EXACT.format(new Date(at))

/** The first line of a text that says something. */
export function firstLine(text: string, limit = 160): string {
  const line = text.split('\n').find((part) => /\S/.test(part)) ?? ''
  return line.length > limit ? `${line.slice(0, limit - 1)}…` : line.trim()
}
