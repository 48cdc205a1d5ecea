import { join } from 'node:path'
import { TESTED_VERSIONS } from '../../src/claude/supported-versions.js'

const packages = join(
  process.env['CC_EXECUTOR_CACHE_DIR'] ?? join(process.env['HOME'] ?? '/root', '.cache', 'cc-executor'),
  'packages',
)

/**
 * Which CLIs a test runs on: the pinned one, and with `npm run test:all`, which has fetched them, both ends of the
 * range.
 */
export function listClaudeVersions(): ReadonlyArray<{ readonly name: string; readonly env: NodeJS.ProcessEnv }> {
  if (process.env['CC_EXECUTOR_TEST_ALL'] !== '1') return [{ name: 'the pinned version', env: {} }]
  return Object.values(TESTED_VERSIONS).map((version) => ({
    name: version,
    env: { CC_EXECUTOR_CLAUDE_BIN: join(packages, `claude-${version}`, 'claude') },
  }))
}
