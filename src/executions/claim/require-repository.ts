import { normalize } from 'node:path'
import type { Config } from '../../platform/config.js'
import { isListed, parseRepositoryUrl, RepositoryUrlError } from '../../platform/repository-url.js'
import { ExecutorError, toInvalidRequest } from '../../protocol/errors.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import { isInside } from '../workspaces/workspace-name.js'

type RepositoryConfig = Pick<Config, 'repositories' | 'allowedRoots'>

/** Whether the operator's list, and for a path the allowed roots, admit an address as it is written. */
export function isAllowedRepository(url: string, { repositories, allowedRoots }: RepositoryConfig): boolean {
  try {
    const address = parseRepositoryUrl(url)
    const isInPlace = address.kind !== 'local' || allowedRoots.some((root) => isInside(address.url, normalize(root)))
    return isInPlace && isListed(address, repositories.allowed)
  } catch (error) {
    if (error instanceof RepositoryUrlError) return false
    throw error
  }
}

function requireUrl(url: string): void {
  try {
    parseRepositoryUrl(url)
  } catch (error) {
    if (!(error instanceof RepositoryUrlError)) throw error
    throw toInvalidRequest([{ path: 'repository.url', message: error.message }])
  }
}

/** @throws ExecutorError INVALID_REQUEST, REPOSITORY_NOT_ALLOWED */
export function requireRepository(
  { repository }: Pick<ExecuteRequest, 'repository'>,
  { config }: { readonly config: RepositoryConfig },
): void {
  if (!repository) return
  requireUrl(repository.url)
  if (isAllowedRepository(repository.url, config)) return
  throw new ExecutorError('REPOSITORY_NOT_ALLOWED', {
    detail:
      'repository.url: only what the operator’s list allows (CC_EXECUTOR_REPOSITORIES), and a path only inside the ' +
      'allowed roots (CC_EXECUTOR_ALLOWED_ROOTS).',
    errors: [{ path: 'repository.url', message: 'not on the operator’s list' }],
  })
}
