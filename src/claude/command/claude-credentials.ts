import type { ClaudeAuthentication } from '../../protocol/service-state.js'

/** How a run proves itself to Claude. Holds names of variables and files, never a value. */
export interface Credentials extends ClaudeAuthentication {
  /** The operator's Claude folder, where a login lives: the run's CLAUDE_CONFIG_DIR. Only with the method `login`. */
  readonly configDir?: string
  readonly warnings: readonly string[]
}
