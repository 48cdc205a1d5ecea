import type { Rest } from './rest.js'

interface CallOptions {
  readonly signal?: AbortSignal
}

/** What runs on repositories have committed, to the byte. FILE_NOT_KEPT where the service has it not, and why. */
export interface RepositoryCalls {
  /** For `git am`. */
  commits(executionId: string, options?: CallOptions): Promise<Uint8Array>
  /** For `git fetch FILE BRANCH`. */
  bundle(executionId: string, options?: CallOptions): Promise<Uint8Array>
}

export function createRepositoryCalls(rest: Rest): RepositoryCalls {
  const call =
    (name: string) =>
    (executionId: string, { signal }: CallOptions = {}): Promise<Uint8Array> =>
      rest.bytes({
        path: `/executions/${encodeURIComponent(executionId)}/${name}`,
        headers: { accept: '*/*' },
        signal,
      })
  return { commits: call('patch'), bundle: call('bundle') }
}
