// Caches that runs share: one for each token, or a copy of the operator's; none that a run of another token can write.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parseSharedCaches } from '../../src/platform/shared-caches.js'
import type { Execution } from '../../src/protocol/execution.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'

const root = await realpath(await mkdtemp(join(tmpdir(), 'cce-caches-')))
t.teardown(() => rm(root, { recursive: true, force: true }))
const seed = join(root, 'seed')
mkdirSync(join(seed, 'deep'), { recursive: true })
writeFileSync(join(seed, 'deep/entry'), 'of the operator')

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_TOKENS: 'one=a-token-of-the-first-0001,two=a-token-of-the-second-002',
    CC_EXECUTOR_SANDBOX: 'host',
    CC_EXECUTOR_SHARED_CACHES: `npm, go,pip=${seed}`,
  },
})
const RESULT = {
  line: { type: 'result', subtype: 'success', is_error: false, result: 'done', num_turns: 1, usage: {} },
}
/** What a shell says of a file `said` in its workspace. */
async function run(token: string, command: string, more: Record<string, unknown> = {}): Promise<string> {
  const headers = { authorization: `Bearer ${token}` }
  const body = { prompt: JSON.stringify([{ tool: `(${command}) > said 2>&1` }, RESULT]), sandbox: 'workspace', ...more }
  const { body: accepted } = await service.call('POST', '/execute', {
    body,
    headers: { ...headers, prefer: 'wait=55' },
  })
  const ended = accepted as Execution
  t.equal(ended.status, 'succeeded', ended.outcome?.message ?? '')
  return readFileSync(join(service.config.workspaceRoot, ended.id, 'said'), 'utf8')
}
const [ONE, TWO] = ['a-token-of-the-first-0001', 'a-token-of-the-second-002']

void t.test('runs of a token share a cache that no other token’s run finds', async (t) => {
  const path = (await run(ONE, 'echo x > $npm_config_cache/entry; printf %s "$npm_config_cache"')).trim()
  t.match(path, join(service.config.dataDir, 'caches'))
  t.equal(await run(ONE, 'cat $npm_config_cache/entry; mkdir -p $GOMODCACHE $GOCACHE'), 'x\n')
  const other = await run(
    TWO,
    `ls -A $npm_config_cache; cat ${path}/entry; echo y > ${path}/entry; ls ${join(path, '../..')}`,
  )
  t.notMatch(other, /^x$/m)
  t.equal(readFileSync(join(path, 'entry'), 'utf8'), 'x\n', 'nor is it written')
  const { length } = readdirSync(join(service.config.dataDir, 'caches'))
  t.equal(length, 2)
  t.equal(other.match(/^[0-9a-f]{32}$/gm)?.length, 1, 'it sees no cache but its own token’s')
})

void t.test('at the level host there is none, since every run could write those of all', async (t) => {
  const said = await run(ONE, 'echo "<$npm_config_cache>"; cat $PIP_CACHE_DIR/deep/entry', { sandbox: 'host' })
  t.match(said, /of the operator/, 'a copy harms nobody')
  t.match(said, /^<>$/m)
})

void t.test('each run has its own copy of what the operator names', async (t) => {
  const said = await run(
    ONE,
    'cat $PIP_CACHE_DIR/deep/entry; echo poison > $PIP_CACHE_DIR/deep/entry; echo $PIP_CACHE_DIR',
  )
  t.match(said, /^of the operator/)
  t.match(await run(ONE, 'cat $PIP_CACHE_DIR/deep/entry'), /^of the operator$/)
  t.equal(readFileSync(join(seed, 'deep/entry'), 'utf8'), 'of the operator')
  t.notOk(existsSync(said.trim().split('\n').at(-1) ?? ''), 'it goes with the run')
})

void t.test('what is no such setting is refused by name', (t) => {
  t.same(parseSharedCaches(' npm ,pip=/srv/a=b/../c'), [{ tool: 'npm' }, { tool: 'pip', copyOf: '/srv/c' }])
  for (const [text, message] of [
    ['npm,npm=/x', 'names a tool twice'],
    ['maven', 'expected npm, yarn, pip, uv, go, cargo, not "maven"'],
    ['constructor', 'expected npm, yarn, pip, uv, go, cargo, not "constructor"'],
    ['pip=srv', 'expected an absolute path after pip='],
    ['pip=', 'expected an absolute path after pip='],
  ] as const)
    t.throws(() => parseSharedCaches(text), { message })
  t.end()
})
