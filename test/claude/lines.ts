// The whole stdout of real runs of the CLI, 2.1.197 up to number 10, 2.1.332 from 20 on, as lines and events.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createLineSplitter, type Line } from '../../src/claude/stream/line-splitter.js'
import { createTranslator, type TranslatorOptions } from '../../src/claude/stream/translate-message.js'
import { FIXTURES } from '../support/paths.js'

const folder = join(FIXTURES, 'transcripts')
export const transcripts = readdirSync(folder)
  .filter((name) => name.endsWith('.jsonl'))
  .sort()
export const read = (number: number) => readFileSync(join(folder, transcripts[number - 1] ?? ''))
export const toLines = (bytes: Buffer, maxLineBytes = 1 << 24): Line[] => {
  const splitter = createLineSplitter({ maxLineBytes })
  return [...splitter.push(bytes), ...splitter.end()]
}
export const line = (value: unknown): Line => ({
  kind: 'line',
  bytes: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
})

export function translateAll(lines: readonly Line[], options: Partial<TranslatorOptions> = {}) {
  const translator = createTranslator({ partialText: true, rawPartials: false, ...options })
  return { events: lines.flatMap((one) => translator.translate(one)), observation: translator.observation }
}
