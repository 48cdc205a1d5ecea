// Which levels a worker has, what is refused, and how limits are written.
import t from 'tap'
import { chooseLevel, highestOf, sandboxLevelsOf } from '../../src/executions/claim/sandbox-levels.js'
import { keepsFiles, requireContainment } from '../../src/main/lifecycle/require-containment.js'
import { parseRunLimits } from '../../src/platform/run-limits.js'
import { readConfig } from '../../src/platform/config.js'
import { LimitKind } from '../../src/protocol/sandbox.js'
import { REACHED_LIMITS } from '../../src/supervision/run-cgroup.js'
import type { SandboxMeans } from '../../src/supervision/sandbox.js'

// Safe: the levels are all that is looked at.
const able = (levels: SandboxMeans['levels']) => ({ sandbox: { levels } as SandboxMeans })
const settings = (least?: string) =>
  readConfig({ HOME: '/nowhere', ...(least !== undefined && { CC_EXECUTOR_SANDBOX: least }) })

void t.test('a worker has what its machine, its operator and its credential admit', async (t) => {
  const all = able(['host', 'workspace', 'locked'])
  t.same(sandboxLevelsOf(all, settings(), 'api_key'), ['workspace', 'locked'])
  t.same(sandboxLevelsOf(all, settings('host'), 'login'), ['host', 'workspace', 'locked'])
  t.same(sandboxLevelsOf(all, settings('locked'), 'oauth_token'), ['locked'])
  t.same(sandboxLevelsOf(all, settings(), 'bedrock'), ['workspace'], 'a cloud’s requests are signed by the run itself')
  t.same(sandboxLevelsOf(all, settings('locked'), 'vertex'), [])
  t.same(sandboxLevelsOf({}, settings(), 'api_key'), ['host'], 'a machine without a sandbox starts nevertheless')
  t.same(sandboxLevelsOf({}, settings('workspace'), 'api_key'), [], 'but not where the operator demands one')
})

void t.test('a request is raised to the least level, and what is beyond the highest is for others', async (t) => {
  t.equal(chooseLevel(undefined, ['workspace', 'locked']), 'workspace')
  t.equal(chooseLevel('host', ['workspace', 'locked']), 'workspace')
  t.equal(chooseLevel('locked', ['workspace', 'locked']), 'locked')
  t.equal(chooseLevel('locked', ['workspace']), undefined)
  t.equal(chooseLevel(undefined, []), undefined)
  t.same([highestOf(['host']), highestOf(['workspace', 'locked']), highestOf([])], [0, 2, -1])
})

void t.test('required wants both qualities', async (t) => {
  const containment = { level: 'bubblewrap', strong: true, detail: 'why' } as const
  t.doesNotThrow(() => requireContainment({ containment: 'auto' }, containment, ['host']))
  t.doesNotThrow(() => requireContainment({ containment: 'required' }, containment, ['workspace', 'locked']))
  t.throws(
    () => requireContainment({ containment: 'required' }, containment, ['host', 'workspace']),
    /access only their own files.*\(why\)/,
  )
  t.throws(() => requireContainment({ containment: 'required' }, containment, []), /CC_EXECUTOR_CONTAINMENT/)
  t.notOk(keepsFiles([]))
})

void t.test('of limits, only those are promised to be told that can be seen', async (t) => {
  t.same(LimitKind.options, REACHED_LIMITS)
})

void t.test('limits are written with units, none is none, and what the CLI cannot live with is refused', async (t) => {
  t.same(parseRunLimits('processes=512,memory=4GiB, files=4096,file_size=10GiB'), {
    processes: 512,
    memory: 4 * 1024 ** 3,
    files: 4096,
    fileSize: 10 * 1024 ** 3,
  })
  t.same(parseRunLimits('processes=none,memory=2048MiB'), { memory: 2 * 1024 ** 3 })
  t.same(parseRunLimits(''), {})
  for (const text of [
    'processes=8',
    'memory=100MiB',
    'files=2GiB',
    'disk=1GiB',
    'memory',
    'memory=-1',
    'constructor=5',
  ])
    t.throws(() => parseRunLimits(text), text)
  t.throws(
    () => readConfig({ HOME: '/nowhere', CC_EXECUTOR_RUN_LIMITS: 'memory=1KiB' }),
    /CC_EXECUTOR_RUN_LIMITS: memory: 1KiB is less than the CLI itself needs/,
  )
})
