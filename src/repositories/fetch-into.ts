import { join } from 'node:path'
import { GitError, tookTooLong } from '../git/git-error.js'
import { sleep } from '../platform/abort-signals.js'
import type { RepositoryAddress } from '../platform/repository-url.js'
import type { RepositorySettings } from '../platform/repository-settings.js'
import { openAccess } from './git-credentials.js'
import { runGit, type GitMeans } from './run-git.js'

/** After the first try, and after the second. */
const WAITS_MS = [500, 3_000] as const
/** What passes by itself: the network, or a server that is being started again or has too much to do. */
const TRANSIENT =
  /could not resolve|(?:connection|operation|handshake|request|transfer) (?:was )?(?:refused|reset|closed|timed out|aborted|too slow)|timed out|temporar|network is (?:down|unreachable)|no route to host|failed to connect|early eof|unexpected(?:ly)? (?:disconnect|eof|hung up|end)|hung up unexpectedly|empty reply|recv failure|send failure|unexpected eof|(?:returned error|http):? (?:429|50[0234])|stream .*not closed cleanly|connection closed by/i
/** These stay as they are, whatever else is said with them. */
const LASTING =
  /authentication failed|permission denied|access denied|host key verification|could not read username|not found|does not (?:exist|appear)|certificate|returned error: 4(?!29)/i

const isTransient = (error: unknown): boolean =>
  error instanceof GitError && error.kind === 'failed' && TRANSIENT.test(error.message) && !LASTING.test(error.message)

export interface FetchSource {
  readonly address: RepositoryAddress
  readonly settings: RepositorySettings
}

/**
 * Fetches into a bare repository of the worker's, and tries again what may go better then; all tries together have the
 * time of one call. @throws GitError
 */
export async function fetchInto(
  means: GitMeans,
  bare: string,
  source: FetchSource,
  refspecs: readonly string[],
): Promise<void> {
  const begunAt = performance.now()
  for (let tries = 0; ; tries += 1) {
    const spentMs = tries === 0 ? 0 : performance.now() - begunAt
    const timeoutMs = Math.max(1, means.timeoutMs - spentMs)
    try {
      return await fetchOnce({ ...means, timeoutMs }, bare, source, refspecs)
    } catch (error) {
      const waitMs = WAITS_MS[tries]
      if (waitMs === undefined || !isTransient(error) || performance.now() - begunAt + waitMs >= means.timeoutMs)
        throw withTries(error, tries + 1, means.timeoutMs)
      await sleep(waitMs, means.signal)
    }
  }
}

function withTries(error: unknown, tries: number, timeoutMs: number): unknown {
  if (!(error instanceof GitError) || tries === 1) return error
  // The last one had only what was left of it.
  const said = error.kind === 'timed_out' ? tookTooLong('fetch', timeoutMs).message : error.message
  return new GitError(error.kind, `${said} (tried ${tries} times)`, { cause: error })
}

async function fetchOnce(
  means: GitMeans,
  bare: string,
  { address, settings }: FetchSource,
  refspecs: readonly string[],
): Promise<void> {
  const { url, kind } = address
  const access = await openAccess(address, settings.credentialsFile, means.home)
  await runGit(means, {
    args: [
      'fetch',
      '--quiet',
      '--prune',
      '--no-tags',
      '--update-shallow',
      '--no-write-fetch-head',
      '--no-auto-maintenance',
      '--no-recurse-submodules',
      '--end-of-options',
      url,
      ...refspecs,
    ],
    cwd: bare,
    env: { ...access.env, GIT_DIR: bare },
    options: access.options,
    readable: kind === 'local' ? [url] : [],
    isRemote: kind !== 'local',
    growth: { folder: join(bare, 'objects/pack'), limitBytes: settings.limitBytes },
  })
}
