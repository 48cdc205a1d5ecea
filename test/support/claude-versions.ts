import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const packages = join(process.env['CC_EXECUTOR_CACHE_DIR'] ?? join(process.env['HOME'] ?? '/root', '.cache', 'cc-executor'), 'packages')

/** Which CLIs a test runs on: the pinned one, and with `npm run test:all` every version that is in the cache. */
export function listClaudeVersions(): ReadonlyArray<{ readonly name: string; readonly env: NodeJS.ProcessEnv }> {
  if (process.env['CC_EXECUTOR_TEST_ALL'] !== '1') return [{ name: 'the pinned version', env: {} }]
  return readdirSync(packages)
    .filter((name) => name.startsWith('claude-') && existsSync(join(packages, name, 'claude')))
    .sort()
    .map((name) => ({ name, env: { CC_EXECUTOR_CLAUDE_BIN: join(packages, name, 'claude') } }))
}
