export type SuperviseErrorCode = 'ENOENT_FILE' | 'BAD_CWD' | 'SPAWN_FAILED' | 'SCARCE'

/** Nothing was run and nothing is left; `code` says what to repair. */
export class SuperviseError extends Error {
  override readonly name = 'SuperviseError'
  constructor(
    readonly code: SuperviseErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** `said` is what bwrap, unshare or bash wrote to standard error before it gave up. */
export function toSpawnFailure(cause: unknown, said: string): SuperviseError {
  if (cause instanceof SuperviseError) return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  const code = /can't chdir|can't find source path/i.test(said) ? 'BAD_CWD' : 'SPAWN_FAILED'
  return new SuperviseError(code, said === '' ? reason : `${reason} ${said}`, { cause })
}

const SCARCE_CODES: ReadonlySet<unknown> = new Set(['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'])
/** The same as bash, bwrap and env say it. */
const SCARCE_WORDS = /Resource temporarily unavailable|Cannot allocate memory|Too many open files/

function isScarce(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (('code' in cause && SCARCE_CODES.has(cause.code)) || SCARCE_WORDS.test(cause.message)) return true
  return false
}

/** SCARCE: the machine had no process, memory or descriptor left for it; later, or elsewhere, it may well start. */
export function toStartFailure(error: unknown): unknown {
  if (!isScarce(error)) return error
  return new SuperviseError('SCARCE', error instanceof Error ? error.message : String(error), { cause: error })
}
