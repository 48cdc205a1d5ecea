import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import type { SelfCheck } from './measure-behaviour.js'

/** Of each CLI that was seen, the newest last; the oldest are forgotten. */
const KEPT = 10

const Entry = z.object({
  key: z.string(),
  behaviour: z.object({
    knowsPromptSnapshot: z.boolean(),
    costAfterResume: z.enum(['own', 'conversation']),
    tellsBackgroundTasks: z.boolean(),
    defaultModel: z.string().exactOptional(),
  }),
  problems: z.array(z.string()),
})
type Entry = z.infer<typeof Entry>

/** Results of self-checks, in the data folder, which no run sees; by the version and the very file. */
export interface BehaviourStore {
  read(): Promise<SelfCheck | undefined>
  write(check: SelfCheck): Promise<void>
}

/** Tells one file from another in its place, also behind a link; undefined where there is none. */
export async function identify(binary: string): Promise<string | undefined> {
  const found = await stat(binary).catch(() => undefined)
  return found && [found.dev, found.ino, found.size, found.mtimeMs].join(':')
}

/** `key`: the version and what identifies the file. */
export function openBehaviourStore(dataDir: string, key: string): BehaviourStore {
  const file = join(dataDir, 'claude-behaviour.json')
  return {
    async read() {
      const found = (await readEntries(file)).find((entry) => entry.key === key)
      return found && { behaviour: found.behaviour, problems: found.problems }
    },
    async write({ behaviour, problems }) {
      const others = (await readEntries(file)).filter((entry) => entry.key !== key)
      const candidate = `${file}.${process.pid}`
      await mkdir(dataDir, { recursive: true, mode: 0o700 })
      await writeFile(candidate, JSON.stringify([...others, { key, behaviour, problems }].slice(-KEPT)), {
        mode: 0o600,
      })
      await rename(candidate, file)
    },
  }
}

/** What cannot be read, or is of another release, is measured again. */
async function readEntries(file: string): Promise<Entry[]> {
  try {
    return z.array(Entry).parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return []
  }
}
