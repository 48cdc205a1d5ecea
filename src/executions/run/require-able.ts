import type { InstalledClaude } from '../../claude/behaviour.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { PooledCredential } from '../claim/credential-pool.js'
import type { RunServices } from '../claim/run-services.js'
import { chooseLevel } from '../claim/sandbox-levels.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { checkRecord } from './check-record.js'
import type { Unstarted } from './prepared-run.js'
import { failed, refused } from './start-failures.js'

export interface Able {
  readonly kind: 'able'
  readonly level: SandboxLevel
  readonly claude: InstalledClaude
}

/** The record is what the API stored, and this worker can run it. */
export async function requireAble(
  services: RunServices,
  { credentials, sandboxes }: PooledCredential,
  record: ExecutionRecord,
): Promise<Able | Unstarted> {
  const { claude } = services
  const refusal = await checkRecord(services, record)
  if (refusal) return refused(refusal)
  const level = chooseLevel(record.request.sandbox, sandboxes)
  // The claim asks for one, and the worker's own settings do not change meanwhile.
  if (level === undefined)
    return refused(failed('WORKSPACE_ERROR', 'The worker does not provide the requested sandbox level.'))
  if (!claude)
    return refused(
      failed(
        'CLAUDE_NOT_FOUND',
        'The Claude CLI was not found on the worker: install it (npm run setup, or npm install -g ' +
          '@anthropic-ai/claude-code) or set CC_EXECUTOR_CLAUDE_BIN.',
      ),
    )
  if (claude.unseen !== undefined && level !== 'host')
    return refused(
      failed(
        'CLAUDE_NOT_FOUND',
        'The Claude CLI starts on the worker but not in the sandbox of its runs, which do not see all of its ' +
          'files. The operator can make them visible with CC_EXECUTOR_SANDBOX_READ=<their folder>; ' +
          '`cc-executor doctor` says what is missing.',
      ),
    )
  if (credentials.method === 'none')
    return refused(failed('CLAUDE_NOT_AUTHENTICATED', `${credentials.message} ${credentials.remedy ?? ''}`.trim()))
  return { kind: 'able', level, claude }
}
