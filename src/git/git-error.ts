/** What went wrong with a repository, in a sentence for whoever asked for the run. */
export class GitError extends Error {
  override readonly name = 'GitError'
  constructor(
    readonly kind: 'failed' | 'timed_out' | 'too_large' | 'stopped' | 'rejected',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

export function tookTooLong(call: string, timeoutMs: number): GitError {
  const seconds = Math.round(timeoutMs / 1_000)
  return new GitError('timed_out', `git ${call} took longer than ${seconds} seconds (CC_EXECUTOR_GIT_TIMEOUT_SECONDS).`)
}

const SHOWN_CHARACTERS = 600

/**
 * What git said, as one line: what the other side sent may hold anything. Paths of the service's own folders are left
 * out of it.
 */
export function toSaid(stderr: string, ownFolders: readonly string[] = []): string {
  let text = stderr
  for (const folder of ownFolders) text = text.replaceAll(folder, '…')
  const line = text
    .replaceAll(/\p{Cc}[^\n]{0,3}\[[0-9;]*m/gu, '')
    .split(/[\r\n]+/)
    .map((part) => part.replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ').trim())
    .filter((part) => part !== '' && !/^(?:@|hint:|remote: (?:Enumerating|Counting|Compressing|Total)\b)/.test(part))
    .join(' ')
    .toWellFormed()
  if (line.length <= SHOWN_CHARACTERS) return line
  // Why it ends is what is said last; what it was about stands before.
  const half = SHOWN_CHARACTERS / 2
  return `${line.slice(0, half)} … ${line.slice(-half)}`.toWellFormed()
}
