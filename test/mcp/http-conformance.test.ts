// The official conformance suite, as npm has it, on /mcp: what needs no tool, prompt or resource that only a server
// made for the suite has. Its programs know no token, so the service runs open.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { installFromNpm } from './clients/pinned-clients.js'

interface Suite {
  readonly version: string
  readonly revision: string
  readonly scenarios: readonly string[]
}

const SUITES: readonly Suite[] = [
  {
    version: '0.1.16',
    revision: '2025-11-25',
    scenarios: [
      'server-initialize',
      'ping',
      'tools-list',
      'resources-list',
      'server-sse-polling',
      'server-sse-multiple-streams',
      'dns-rebinding-protection',
    ],
  },
  {
    // The first with the revision of 2026.
    version: '0.2.0-alpha.12',
    revision: '2026-07-28',
    scenarios: [
      'server-stateless',
      'tools-list',
      'resources-list',
      'sep-2164-resource-not-found',
      'caching',
      'http-header-validation',
      'dns-rebinding-protection',
    ],
  },
]
/** Of the scenarios above, the checks that ask for what only a server made for the suite has, in its own words. */
const NEEDS_FIXTURES = new Set([
  'sep-2575-server-rejects-undeclared-capability',
  'sep-2575-missing-capability-http-400',
  'sep-2575-http-server-no-independent-requests-on-stream',
  'sep-2575-server-no-log-without-loglevel',
  // There are no prompts, and none are announced.
  'sep-2549-prompts-list-caching-hints',
])

interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

async function readChecks(folder: string): Promise<Check[]> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('checks.json'))
  const all = await Promise.all(files.map(async (file) => JSON.parse(await readFile(join(folder, file), 'utf8'))))
  return all.flat() as Check[]
}

const skip = process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? false : 'only in npm run test:all: 300 MB from npm'
void t.test('the official conformance suite finds nothing', { skip }, async (t) => {
  const service = await openTestService(t, { env: { CC_EXECUTOR_AUTH: 'open', CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
  for (const { version, revision, scenarios } of SUITES) {
    const folder = await mkdtemp(join(tmpdir(), 'cce-conformance-'))
    t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
    const node = `node-${process.platform}-${process.arch}`
    const modules = await installFromNpm(folder, [
      `@modelcontextprotocol/conformance@${version}`,
      // It needs fs.globSync.
      `${node}@24.9.0`,
    ])
    for (const scenario of scenarios) {
      const results = join(folder, scenario)
      const args = ['server', '--url', `${service.url()}/mcp`, '--scenario', scenario, '--spec-version', revision]
      await promisify(execFile)(
        join(modules, node, 'bin/node'),
        [join(modules, '@modelcontextprotocol/conformance/dist/index.js'), ...args, '-o', results],
        { cwd: folder, timeout: 120_000 },
      ).catch(() => undefined) // it counts what needs fixtures as failed
      const checks = await readChecks(results)
      t.ok(checks.some(({ status }) => status === 'SUCCESS') || scenario === 'server-sse-polling', scenario)
      const failed = checks.filter(({ id, status }) => status === 'FAILURE' && !NEEDS_FIXTURES.has(id))
      t.same(failed, [], `${version}, ${revision}: ${scenario}`)
    }
  }
})
