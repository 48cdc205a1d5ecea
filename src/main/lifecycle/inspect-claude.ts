import { join } from 'node:path'
import { behaviourOf, type InstalledClaude } from '../../claude/behaviour.js'
import { explainMissing, findClaude, probeClaude } from '../../claude/install/find-claude.js'
import { describeTooOld, isTooOld } from '../../claude/supported-versions.js'
import type { Config } from '../../platform/config.js'

export const INSTALL = 'npm run setup, or npm install -g @anthropic-ai/claude-code, or set CC_EXECUTOR_CLAUDE_BIN'

export type ClaudeInspection =
  | { readonly kind: 'usable'; readonly claude: InstalledClaude }
  /** Nowhere to be found. */
  | { readonly kind: 'missing'; readonly problem: string; readonly message: string }
  /** There is one, which gives no version: slow, broken, or something else by its name. */
  | { readonly kind: 'unanswering'; readonly binary: string; readonly problem: string; readonly message: string }
  | { readonly kind: 'too_old'; readonly binary: string; readonly version: string; readonly message: string }

/**
 * Looks once for the CLI and asks for its version; how that version behaves is what is known of it so far.
 * @throws the signal's reason, once nothing of it is under way any more
 */
export async function inspectClaude(
  { claudeBin, environment, cacheBin }: Config,
  signal?: AbortSignal,
): Promise<ClaudeInspection> {
  const explicit = claudeBin === undefined ? {} : { explicit: claudeBin }
  const binary = await findClaude({ path: environment['PATH'] ?? '', cacheBin: join(cacheBin, 'claude'), ...explicit })
  if (binary === undefined) {
    const problem = await explainMissing(explicit)
    return { kind: 'missing', problem, message: `${problem}: ${INSTALL}.` }
  }
  const probe = await probeClaude(binary, environment, undefined, signal)
  signal?.throwIfAborted()
  if ('problem' in probe) {
    const { problem } = probe
    return { kind: 'unanswering', binary, problem, message: `The Claude CLI cannot be used (${binary}): ${problem}.` }
  }
  const { version } = probe
  if (isTooOld(version)) return { kind: 'too_old', binary, version, message: describeTooOld(version, binary) }
  return { kind: 'usable', claude: { binary, version, behaviour: behaviourOf(version) } }
}
