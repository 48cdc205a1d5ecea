import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../platform/abort-signals.js'
import { machineId } from '../platform/folder-identity.js'
import { readProcessStart } from '../platform/process-identity.js'
import { GitError } from '../git/git-error.js'

/** The holder says so often that it is alive; on another host, who has not for so long is dead. */
const SIGN_MS = 3_000
const DEAD_AFTER_MS = 30_000
const LOOK_MS = 40
const HOLDER = 'holder'

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined

const readHolder = (path: string): Promise<string> => readFile(join(path, HOLDER), 'utf8').catch(() => '')

/** Whether the process that has written this is gone for certain: it was one of this machine. */
function isGone(holder: string): boolean {
  try {
    // Safe: `take` has written it.
    const [machine, pid, start] = JSON.parse(holder) as [string, number, string]
    return machine === machineId() && readProcessStart(pid) !== start
  } catch {
    return false
  }
}

/** A holder that was killed leaves its lock behind. */
async function removeDead(path: string, dead: string): Promise<void> {
  const away = `${path}.${randomUUID()}`
  await rename(path, away).catch(() => undefined)
  // Two may have seen the dead one, and the first of them may have the lock by now: then it is given back.
  if ((await readHolder(away)) !== dead) await rename(away, path).catch(() => undefined)
  await rm(away, { recursive: true, force: true })
}

async function take(path: string, signal: AbortSignal): Promise<string> {
  const own = JSON.stringify([machineId(), process.pid, readProcessStart(process.pid), randomUUID()])
  let seen: { readonly sign: string; readonly since: number } | undefined
  for (;;) {
    if (signal.aborted) throw new GitError('stopped', 'It was stopped.')
    try {
      await mkdir(path, { mode: 0o700 })
      await writeFile(join(path, HOLDER), own)
      return own
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    const holder = await readHolder(path)
    const changed = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    )
    const sign = `${holder} ${changed}`
    const now = performance.now()
    if (seen?.sign !== sign) seen = { sign, since: now }
    if (isGone(holder) || now - seen.since > DEAD_AFTER_MS) await removeDead(path, holder)
    // Not all at the same moment: whoever waits longest must not always come second.
    else await sleep(LOOK_MS * (0.5 + Math.random()), signal)
  }
}

/** Does it while no other process, on whatever host, does what is under the same lock. @throws GitError when stopped */
export async function withLock<Result>(path: string, signal: AbortSignal, act: () => Promise<Result>): Promise<Result> {
  const own = await take(path, signal)
  const signs = setInterval(() => {
    const now = new Date()
    void utimes(path, now, now).catch(() => undefined)
  }, SIGN_MS)
  try {
    return await act()
  } finally {
    clearInterval(signs)
    // Whoever took us for dead has it now.
    if ((await readHolder(path)) === own) await rm(path, { recursive: true, force: true })
  }
}
