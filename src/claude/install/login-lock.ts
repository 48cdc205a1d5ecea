import { mkdir, realpath, rmdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The holder says so often that it is alive; who has not for so long is dead. */
const SIGN_MS = 3_000
const DEAD_AFTER_MS = 12_000
const LOOK_MS = 100

/** Somebody else holds the lock, and does not let go. */
export class LockTaken extends Error {
  override readonly name = 'LockTaken'
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined

/**
 * Makes a folder, which only one can. A holder that was killed leaves it behind: its time of change then stands still,
 * seen by our own clock, since the file system's may be another host's.
 * @throws what mkdir said other than that it is there; LockTaken after `waitMs`
 */
async function takeFolder(path: string, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs
  let seen: { readonly sign: string; readonly since: number } | undefined
  for (;;) {
    try {
      await mkdir(path, { mode: 0o700 })
      return
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    const sign = await stat(path).then(
      ({ mtimeMs, ino }) => `${ino}/${mtimeMs}`,
      () => 'gone',
    )
    const now = performance.now()
    if (seen?.sign !== sign) seen = { sign, since: now }
    else if (now - seen.since > DEAD_AFTER_MS) {
      await rmdir(path).catch(() => undefined)
      seen = undefined
    }
    if (now > deadline) throw new LockTaken('another process has been renewing the login for too long')
    // Not all at the same moment: whoever waits longest must not always come second.
    await sleep(LOOK_MS * (0.5 + Math.random()))
  }
}

/**
 * Holds the locks by which the CLI itself renews a login (2.1.332: `.oauth_refresh.lock` in the folder, and beside it
 * the older one's `<folder>.lock`): so of all workers that share the folder, on whatever host, and the operator's own
 * CLI only one renews it at a time. The older lock lies outside of the folder, where a worker may not be able to write.
 */
export async function withLoginLock<Result>(
  configDir: string,
  waitMs: number,
  act: () => Promise<Result>,
): Promise<Result> {
  const held: string[] = []
  const own = join(configDir, '.oauth_refresh.lock')
  const older = `${await realpath(configDir).catch(() => configDir)}.lock`
  const signs = setInterval(() => {
    const now = new Date()
    for (const path of held) void utimes(path, now, now).catch(() => undefined)
  }, SIGN_MS)
  try {
    await takeFolder(own, waitMs)
    held.push(own)
    await takeFolder(older, waitMs).then(
      () => held.push(older),
      (error: unknown) => {
        if (codeOf(error) === undefined) throw error
      },
    )
    return await act()
  } finally {
    clearInterval(signs)
    for (const path of held.toReversed()) await rmdir(path).catch(() => undefined)
  }
}
