// Which CLI there is, and how its version behaves.
import { chmod, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { behaviourOf, isMeasured } from '../../src/claude/behaviour.js'
import {
  describeTooOld,
  describeVersion,
  isTestedVersion,
  isTooOld,
  readVersionRefusal,
  TESTED_VERSIONS,
} from '../../src/claude/supported-versions.js'
import { explainMissing, findClaude, probeClaude } from '../../src/claude/install/find-claude.js'

const countTimers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

void t.test('the CLI is found where the operator says, on PATH, then in the cache', async (t) => {
  const before = countTimers()
  const root = t.testdir({
    a: { claude: 'not executable' },
    b: { claude: '#!/bin/sh\necho "2.1.197 (Claude Code)"' },
    cache: '#!/bin/sh\necho no such library >&2; exit 1',
    other: '#!/bin/sh\necho 1.0',
    slow: '#!/bin/sh\nexec sleep 60',
  })
  await chmod(join(root, 'a/claude'), 0o644)
  for (const file of ['b/claude', 'cache', 'other', 'slow']) await chmod(join(root, file), 0o755)
  await mkdir(join(root, 'c', 'claude'), { recursive: true })
  const cacheBin = join(root, 'cache')
  const path = `::relative:${join(root, 'missing')}:${join(root, 'a')}:${join(root, 'c')}:${join(root, 'b')}`
  t.equal(await findClaude({ path, cacheBin }), join(root, 'b/claude'))
  t.equal(await findClaude({ path: join(root, 'a'), cacheBin }), cacheBin)
  t.equal(await findClaude({ path: '', cacheBin: join(root, 'none') }), undefined)
  t.equal(
    await findClaude({ explicit: join(root, 'none'), path, cacheBin }),
    undefined,
    'what the operator names is not replaced',
  )
  t.equal(await findClaude({ explicit: 'claude', path, cacheBin }), join(root, 'b/claude'))

  t.match(await explainMissing({ explicit: join(root, 'none') }), /CC_EXECUTOR_CLAUDE_BIN \(.*none\) leads nowhere$/)
  t.match(await explainMissing({ explicit: join(root, 'a/claude') }), /is not executable$/)

  t.same(await probeClaude(join(root, 'b/claude'), process.env), { version: '2.1.197' })
  t.same(await probeClaude(cacheBin, process.env), { problem: '--version failed with exit code 1: no such library' })
  t.same(
    await probeClaude(join(root, 'other'), process.env),
    { problem: 'it is not a Claude CLI: --version printed: 1.0' },
    'another program',
  )
  t.same(await probeClaude(join(root, 'none'), process.env), { problem: 'it could not be started (ENOENT)' })
  t.same(await probeClaude(join(root, 'a/claude'), process.env), { problem: 'it could not be started (EACCES)' })
  t.same(await probeClaude(join(root, 'slow'), process.env, 300), { problem: '--version did not answer within 0.3 s' })
  const { TMPDIR } = process.env
  process.env['TMPDIR'] = join(root, 'nowhere')
  t.same(
    await probeClaude(join(root, 'b/claude'), process.env),
    { problem: 'its version could not be read (ENOENT)' },
    'no room for its folder is no end of asking',
  )
  if (TMPDIR === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = TMPDIR
  // Those of others that share this process may end meanwhile.
  const left = countTimers()
  t.ok(left <= before, `what could not be started leaves no timer that keeps the process: ${before}, then ${left}`)
})

void t.test(
  'the range of versions: both ends are in it, older is refused, newer is fine and called newer',
  async (t) => {
    for (const version of ['2.1.197', '2.1.200', '2.1.332']) t.ok(isTestedVersion(version), version)
    for (const version of ['2.1.333', '2.1.1000', '2.2.0', '3.0.0'])
      t.match([isTestedVersion(version), isTooOld(version)], [false, false], version)
    for (const version of ['2.1.196', '2.1.20', '2.0.999', '1.9.9'])
      t.match([isTestedVersion(version), isTooOld(version)], [false, true], version)
    t.equal(describeVersion('2.1.332', 'm'), 'Claude CLI 2.1.332, default model m')
    t.equal(
      describeVersion('2.1.400', undefined),
      'Claude CLI 2.1.400 (newer than the tested 2.1.197 to 2.1.332, which is fine)',
    )
    t.match(
      describeTooOld('2.1.100', '/c'),
      /^CLAUDE_TOO_OLD: .*2\.1\.100 \(\/c\) is older than 2\.1\.197.*npm run setup -- --claude=latest/,
    )
    t.equal(
      (await readFile('src/setup/cache.mjs', 'utf8')).match(/CLAUDE_VERSION = '(.+)'/)?.[1],
      TESTED_VERSIONS.to,
      'what set-up fetches is the newest that is tested',
    )
    t.equal(
      (await readFile('src/setup/cache.mjs', 'utf8')).match(/OLDEST_CLAUDE_VERSION = '(.+)'/)?.[1],
      TESTED_VERSIONS.from,
    )
  },
)

void t.test('how a version behaves: as the newest that was measured and is not newer than it', async (t) => {
  t.match(behaviourOf('2.1.197'), { knowsPromptSnapshot: false, costAfterResume: 'own' })
  t.same(
    behaviourOf('2.1.202'),
    { knowsPromptSnapshot: false, costAfterResume: 'own', tellsBackgroundTasks: false },
    'and no default model, which each has of its own',
  )
  t.same(behaviourOf('2.1.256'), { knowsPromptSnapshot: false, costAfterResume: 'own', tellsBackgroundTasks: true })
  t.same(behaviourOf('2.1.276'), { knowsPromptSnapshot: true, costAfterResume: 'own', tellsBackgroundTasks: true })
  t.same(behaviourOf('2.1.331'), {
    knowsPromptSnapshot: true,
    costAfterResume: 'conversation',
    tellsBackgroundTasks: true,
  })
  t.match(behaviourOf('2.1.332'), { knowsPromptSnapshot: true, costAfterResume: 'conversation', defaultModel: /./ })
  t.match(behaviourOf('2.1.400'), { knowsPromptSnapshot: true, costAfterResume: 'conversation' })
  t.match(behaviourOf(undefined), { knowsPromptSnapshot: true })
  t.same(['2.1.197', '2.1.332', '2.1.331', '2.1.400'].map(isMeasured), [true, true, false, false])
})

void t.test('a refusal for the age of the CLI is told by the words of the API', async (t) => {
  const said =
    'API Error: 400 Claude Code 2.1.259 does not support this model; version 2.1.280 or newer is ' +
    "required. Run 'claude update', or update the Claude desktop app, then try again."
  t.same(readVersionRefusal(said), { requiredVersion: '2.1.280' })
  t.same(readVersionRefusal('API Error: 400 {"error":{"details":{"error_code":"claude_code_version_too_old"}}}'), {})
  t.equal(readVersionRefusal('API Error: 400 version 2 is required'), undefined)
})
