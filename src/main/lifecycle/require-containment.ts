import { ConfigError, type Config } from '../../platform/config.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { Containment } from '../../supervision/containment.js'

/** Whether no run of this worker reaches files that are none of its own. */
export const keepsFiles = (levels: readonly SandboxLevel[]): boolean => levels.length > 0 && !levels.includes('host')

/** For people: the two qualities do not follow from the name of a level. */
export function tellSandboxes(levels: readonly SandboxLevel[]): string {
  if (levels.length === 0) return 'no run is started here: the machine cannot keep what CC_EXECUTOR_SANDBOX demands.'
  return keepsFiles(levels)
    ? `A run may have the level ${levels.join(' or ')}.`
    : 'A run reaches whatever files its user reaches, the service’s own apart where they can be hidden.'
}

/** `required` wants both qualities: nothing survives a run, and it reaches nothing else. @throws ConfigError */
export function requireContainment(
  { containment: policy }: Pick<Config, 'containment'>,
  containment: Containment,
  levels: readonly SandboxLevel[],
): void {
  if (policy !== 'required' || keepsFiles(levels)) return
  throw new ConfigError(
    'CC_EXECUTOR_CONTAINMENT: required wants runs that reach no files but their own, which is not so ' +
      'here; cc-executor doctor says what is missing, CC_EXECUTOR_CONTAINMENT=auto accepts less. ' +
      `(${containment.detail})`,
  )
}
