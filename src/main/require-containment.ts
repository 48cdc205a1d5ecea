import { ConfigError, type Config } from '../platform/config.js'
import type { SandboxLevel } from '../protocol/sandbox.js'
import type { Containment } from '../supervision/containment.js'

/** Whether no run of this worker reaches files that are none of its own. */
export const keepsFiles = (levels: readonly SandboxLevel[]): boolean => levels.length > 0 && !levels.includes('host')

/** `required` wants both qualities: nothing survives a run, and it reaches nothing else. @throws ConfigError */
export function requireContainment({ containment: policy }: Pick<Config, 'containment'>, containment: Containment, levels: readonly SandboxLevel[]): void {
  if (policy !== 'required' || keepsFiles(levels)) return
  throw new ConfigError(`CC_EXECUTOR_CONTAINMENT: required wants runs that reach no files but their own, which is not so here; cc-executor doctor says what is missing, CC_EXECUTOR_CONTAINMENT=auto accepts less. (${containment.detail})`)
}
