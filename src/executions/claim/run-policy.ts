import type { RunRequest } from '../../claude/command/run-request.js'
import type { Config } from '../../platform/config.js'
import { ExecutorError } from '../../protocol/errors.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import { requireRepository } from './require-repository.js'
import { requireHosts } from './sandbox-levels.js'

type PolicyConfig = Pick<
  Config,
  | 'allowBypassPermissions'
  | 'allowAutoPermissions'
  | 'allowVerifyCommands'
  | 'sandbox'
  | 'repositories'
  | 'allowedRoots'
>

/** What the token of a request could do when it was submitted. */
export interface Rights {
  readonly isAdmin: boolean
}

function switchedOff(mode: string, setting: string): ExecutorError {
  return new ExecutorError('FORBIDDEN', {
    detail: `permissionMode: ${mode} is disabled here; the operator can enable it with ${setting}=true.`,
    errors: [{ path: 'permissionMode', message: `disabled by ${setting}` }],
  })
}

const adminOnly = (path: string, detail: string): ExecutorError =>
  new ExecutorError('FORBIDDEN', {
    detail: `${path}: ${detail}`,
    errors: [{ path, message: 'needs the admin scope' }],
  })

/**
 * What may be asked here, and with these rights. The API asks when a request comes, the worker when it is about to run:
 * whoever can write to the store between the two gains nothing.
 * @throws ExecutorError FORBIDDEN, INVALID_REQUEST, REPOSITORY_NOT_ALLOWED
 */
export function requirePermitted(
  run: Pick<RunRequest, 'permissionMode' | 'verify' | 'mcpServers'>,
  request: Pick<ExecuteRequest, 'network' | 'repository'>,
  { config }: { readonly config: PolicyConfig },
  { isAdmin }: Rights,
): void {
  if (run.permissionMode === 'bypassPermissions' && !config.allowBypassPermissions)
    throw switchedOff(run.permissionMode, 'CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS')
  if (run.permissionMode === 'auto' && !config.allowAutoPermissions)
    throw switchedOff(run.permissionMode, 'CC_EXECUTOR_ALLOW_AUTO_PERMISSIONS')
  if (run.verify?.commands && !isAdmin && !config.allowVerifyCommands)
    throw adminOnly(
      'verify.commands',
      'running custom commands requires a token with the admin scope, or CC_EXECUTOR_ALLOW_VERIFY_COMMANDS=true.',
    )
  const startsProgram = Object.entries(run.mcpServers ?? {}).find(([, server]) => 'command' in server)
  if (startsProgram && !isAdmin)
    throw adminOnly(`mcpServers.${startsProgram[0]}`, 'starting a program requires a token with the admin scope.')
  requireHosts({ config }, request)
  requireRepository(request, { config })
}
