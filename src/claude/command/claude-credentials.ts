import type { ClaudeAuthentication } from '../../protocol/service-state.js'

/** How a run proves itself to Claude. Holds names of variables and files, never a value. */
export interface Credentials extends ClaudeAuthentication {
  /** The operator's Claude folder, where a login lives; no run sees it. Only with the method `login`. */
  readonly configDir?: string
  readonly warnings: readonly string[]
  /** What the simulator is shown in its place, so that a script can tell one of several from the others. */
  readonly standIn?: string
}
