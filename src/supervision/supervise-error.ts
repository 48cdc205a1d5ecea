export type SuperviseErrorCode = 'ENOENT_FILE' | 'BAD_CWD' | 'SPAWN_FAILED'

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
