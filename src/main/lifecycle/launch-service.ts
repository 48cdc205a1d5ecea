import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withoutSurroundingSession } from '../../claude/command/claude-variables.js'
import type { Config } from '../../platform/config.js'
import { withSecretFiles } from '../../platform/secret-files.js'
import { openDataFolder } from './open-data-folder.js'

const CLI = fileURLToPath(new URL('../cli.js', import.meta.url))
/** A log beyond this is put aside at the next start, so two of them are kept at most. */
const LOG_LIMIT_BYTES = 4 * 1024 * 1024
const SENTENCE_BYTES = 4 * 1024

export interface LaunchedService {
  /** Resolves when it ends, with what it said last; never rejects. */
  readonly ended: Promise<string>
}

async function openLog(path: string): Promise<Awaited<ReturnType<typeof open>>> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size > LOG_LIMIT_BYTES) await rename(path, `${path}.1`).catch(() => undefined)
  return open(path, 'a', 0o600)
}

/** The last sentence of the command line in what was said since. */
async function readSentence(path: string, from: number): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const start = Math.max(from, size - SENTENCE_BYTES)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SENTENCE_BYTES), 0, SENTENCE_BYTES, start)
    return /^cc-executor: (.+)$/m.exec(buffer.subarray(0, bytesRead).toString())?.[1] ?? 'It printed nothing.'
  } finally {
    await file.close()
  }
}

/**
 * Starts `cc-executor start --on-demand` as a service of its own: it outlives us, records itself in the data folder,
 * and ends when nobody needs it.
 */
export async function launchService(config: Config, { simulate }: { simulate: boolean }): Promise<LaunchedService> {
  await openDataFolder(config)
  const path = join(config.dataDir, 'service.log')
  const log = await openLog(path)
  try {
    const { size } = await log.stat()
    const child = spawn(process.execPath, [CLI, 'start', '--on-demand', ...(simulate ? ['--simulate'] : [])], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      // Not where we were started: that folder may go, and the service is not about it.
      cwd: config.dataDir,
      env: { ...withoutSurroundingSession(withSecretFiles(config)), CC_EXECUTOR_DATA_DIR: config.dataDir },
    })
    child.unref()
    const ended = once(child, 'exit').then(
      () => readSentence(path, size),
      (error: Error) => error.message,
    )
    return { ended: ended.catch((error: Error) => error.message) }
  } finally {
    await log.close()
  }
}
