import type { Usage } from '../protocol/execution.js'

const LINE_LENGTH = 120

/** What a model or a tool wrote must not steer the terminal. */
export const toPrintable = (text: string): string => text.replace(/(?![\n\t])\p{Cc}/gu, '')

/** One short line of something long. */
export function toLine(text: string, length = LINE_LENGTH): string {
  // The rest is never looked at: a prompt may be 4 MiB.
  const line = toPrintable(text.slice(0, length * 4))
    .replace(/\s+/g, ' ')
    .trim()
  if (line.length <= length && text.length <= length * 4) return line
  // Not within a surrogate pair.
  return `${line.slice(0, length - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}

/** For people on a terminal in lines, for programs in one. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, process.stdout.isTTY ? 2 : undefined)}\n`)
}

export function toUsageLine(
  { inputTokens, outputTokens, cacheReadTokens, turns, durationMs, costUsd, isCostIncomplete }: Usage,
  simulated: boolean,
): string {
  const cached = cacheReadTokens > 0 ? ` (and ${cacheReadTokens} cached)` : ''
  return (
    `${inputTokens} tokens in${cached}, ${outputTokens} out, ${turns} turn${turns === 1 ? '' : 's'}, ` +
    `${(durationMs / 1_000).toFixed(1)} s, $${costUsd.toFixed(4)} by the CLI's ` +
    `estimate${isCostIncomplete ? ', not complete' : ''}${simulated ? ' (simulated)' : ''}`
  )
}

/** Lines of cells, each column as wide as its widest. */
export function toTable(lines: ReadonlyArray<readonly string[]>): string {
  const widths = (lines[0] ?? []).map((_cell, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
