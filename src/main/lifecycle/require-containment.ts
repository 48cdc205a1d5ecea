import { ConfigError, type Config } from '../../platform/config.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { Containment } from '../../supervision/containment.js'

/** Whether no run of this worker reaches files that are none of its own. */
export const keepsFiles = (levels: readonly SandboxLevel[]): boolean => levels.length > 0 && !levels.includes('host')

/** For people: the two qualities do not follow from the name of a level. */
export function tellSandboxes(levels: readonly SandboxLevel[]): string {
  if (levels.length === 0)
    return 'No run is started here: the machine does not support what CC_EXECUTOR_SANDBOX requires.'
  return keepsFiles(levels)
    ? `Available sandbox levels: ${levels.join(' or ')}.`
    : 'A run can access all files that its user can access, except those of the service where they can be hidden.'
}

/** `required` wants both qualities: nothing survives a run, and it reaches nothing else. @throws ConfigError */
export function requireContainment(
  { containment: policy }: Pick<Config, 'containment'>,
  containment: Containment,
  levels: readonly SandboxLevel[],
): void {
  if (policy !== 'required' || keepsFiles(levels)) return
  throw new ConfigError(
    'CC_EXECUTOR_CONTAINMENT: `required` demands that runs access only their own files, which this ' +
      'machine does not support; cc-executor doctor shows what is missing, CC_EXECUTOR_CONTAINMENT=auto ' +
      `accepts less. (${containment.detail})`,
  )
}
