import type { Credentials } from '../../claude/command/claude-credentials.js'
import type { Containment } from '../../claude/stream/spawn-claude.js'
import type { Config } from '../../platform/config.js'
import { ExecutorError } from '../../protocol/errors.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import { higherLevel, highestLevel, SandboxLevel } from '../../protocol/sandbox.js'
import { fromStore } from '../../platform/redis.js'
import type { DomainServices } from '../services.js'

/** Kinds of credential whose requests the worker can make in a run's stead; a cloud's are signed by the run itself. */
const LENT = new Set<Credentials['method']>(['api_key', 'auth_token', 'oauth_token', 'login', 'simulated'])

/** At which a worker runs executions, least first: none where it cannot keep what its operator demands. */
export function sandboxLevelsOf(
  containment: Pick<Containment, 'sandbox'>,
  { sandbox: { least } }: Pick<Config, 'sandbox'>,
  method: Credentials['method'],
): readonly SandboxLevel[] {
  const able = (containment.sandbox?.levels ?? ['host']).filter(
    (level) => level !== 'locked' || LENT.has(method) || method === 'none',
  )
  const lowest = least ?? (able.includes('workspace') ? 'workspace' : 'host')
  return able.filter((level) => higherLevel(level, lowest) === level)
}

/** For the claim: what is beyond it waits for another worker. */
export const highestOf = (levels: readonly SandboxLevel[]): number => {
  const highest = highestLevel(levels)
  return highest === undefined ? -1 : SandboxLevel.options.indexOf(highest)
}

/** A request is raised to what the worker's operator demands. undefined: it has nothing as high. */
export const chooseLevel = (
  wanted: SandboxLevel | undefined,
  levels: readonly SandboxLevel[],
): SandboxLevel | undefined => levels.find((level) => wanted === undefined || higherLevel(level, wanted) === level)

/**
 * What no worker has is refused at once; where no worker is present, nothing is known. @throws ExecutorError
 * SANDBOX_UNAVAILABLE
 */
export async function requireSandbox({ workers, config }: DomainServices, { sandbox }: ExecuteRequest): Promise<void> {
  const { least } = config.sandbox
  if (sandbox === undefined && least === undefined) return
  const wanted = higherLevel(sandbox ?? 'host', least ?? 'host')
  const present = await fromStore(workers.list())
  if (
    present.length === 0 ||
    present.some(({ containment }) => chooseLevel(wanted, containment.sandboxes ?? ['host']) !== undefined)
  )
    return
  throw new ExecutorError('SANDBOX_UNAVAILABLE', {
    detail:
      `sandbox: no connected worker provides the level ${wanted}; cc-executor doctor on a worker's machine ` +
      'shows what is missing.',
    errors: [{ path: 'sandbox', message: `no worker provides the level ${wanted}` }],
  })
}

/** @throws ExecutorError FORBIDDEN for a host that the operator has not opened */
export function requireHosts(
  { config }: { readonly config: Pick<Config, 'sandbox'> },
  { network }: Pick<ExecuteRequest, 'network'>,
): void {
  const { hosts } = config.sandbox
  const beyond = (network?.hosts ?? []).filter((host) => !hosts.some((open) => admits(open, host)))
  if (beyond.length === 0) return
  throw new ExecutorError('FORBIDDEN', {
    detail:
      `network.hosts: ${beyond.join(', ')} is not among the hosts that the operator allows ` +
      '(CC_EXECUTOR_NETWORK_HOSTS).',
    errors: beyond.map((host) => ({
      path: 'network.hosts',
      message: `${host} is not allowed by CC_EXECUTOR_NETWORK_HOSTS`,
    })),
  })
}

/** Whether everything that the narrower entry means is meant by the wider one. */
function admits(wider: string, narrower: string): boolean {
  const [wide, narrow] = [wider, narrower].map((entry) => /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [])
  const [, wideName = '', widePort] = wide ?? []
  const [, narrowName = '', narrowPort] = narrow ?? []
  const isOfName = wideName === narrowName || (wideName.startsWith('*.') && narrowName.endsWith(wideName.slice(1)))
  return isOfName && (widePort === narrowPort || (widePort === undefined && ['80', '443'].includes(narrowPort ?? '')))
}
