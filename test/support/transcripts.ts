import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestService } from './service.js'

/**
 * Whether the session of an execution holds this on disk: the CLI writes it later than it has spoken (seen: seconds,
 * 2.1.197), and what lacks a call is not continued.
 */
export function hasTranscript({ config }: TestService, id: string, text: string): boolean {
  const home = join(config.dataDir, 'sessions', id)
  if (!existsSync(home)) return false
  const files = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.jsonl'))
  return files.some((name) => readFileSync(join(home, name), 'utf8').includes(text))
}
