// What a worker does with a CLI that is slow, broken, absent, too old or new: real workers, a real Redis, the real CLI
// behind a wrapper.
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { inspectClaude } from '../../src/main/lifecycle/inspect-claude.js'
import { checkClaude } from '../../src/main/doctor/check-claude.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { openWorker } from '../../src/main/worker.js'
import { readConfig } from '../../src/platform/config.js'
import { scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

const service = await openTestService(t, { workers: 0 })
const real = await inspectClaude(readConfig(service.environment))
if (real.kind !== 'usable') throw new Error(real.message)
const binary = await realpath(real.claude.binary)

/** A `claude` in the way of the real one. */
async function wrap(name: string, script: string): Promise<NodeJS.ProcessEnv> {
  const path = join(service.directory, name)
  await writeFile(path, `#!/bin/sh\n${script}\nexec ${binary} "$@"\n`, { mode: 0o755 })
  // A wrapper's target is not in a run's view by itself.
  return { CC_EXECUTOR_CLAUDE_BIN: path, CC_EXECUTOR_SANDBOX_READ: dirname(binary) }
}
const hasSandbox = async (): Promise<boolean> =>
  (await chooseContainment({ policy: 'auto', extraPath: [readConfig(service.environment).cacheBin] })).sandbox !==
  undefined
// Before the first test: when those there are have ended, tap waits for no more.
const lack = (await hasSandbox()) ? false : 'this machine has no sandbox'
const body = async (path: string) => (await service.call('GET', path)).body

void t.test(
  'a CLI that fails to tell its version is asked again; meanwhile nothing is taken, and what was seen is said',
  async (t) => {
    const go = join(service.directory, 'go')
    const worker = await service.openWorker(
      await wrap(
        'flaky',
        `[ "$1" != --version ] || [ -e ${go} ] || { echo "cannot open shared object" >&2; exit 127; }`,
      ),
    )
    const reason = /cannot be used \(.*flaky\): --version failed with exit code 127: cannot open shared object/
    const { id } = await service.submit({ prompt: 'Say hello' })
    const queue = await body('/queue')
    t.match(queue, { capacity: 0, depth: 1, workers: [{ pausedBecause: reason }] })
    const ready = await service.call('GET', '/health/ready')
    t.match(
      [ready.status, ready.body.parts.claude, ready.body.parts.workers],
      [503, { status: 'failed', message: reason }, { status: 'degraded', message: reason }],
    )
    const stranger = await service.call('GET', '/health/ready', { headers: { authorization: '' } })
    t.match([stranger.status, stranger.body.parts.claude], [503, { status: 'failed', message: /^not ready; .*token/ }])
    t.notMatch(stranger.text, new RegExp(`flaky|${service.directory}|${queue.workers[0].id}|${queue.workers[0].host}`))
    t.match(await body(`/executions/${id}`), { status: 'queued' })

    await writeFile(go, '')
    t.match(await service.finished(id), { status: 'succeeded' }, 'it is taken once the CLI can be used')
    await until(async () => (await body('/health/ready')).status === 'ok', 'it is ready')
    t.match(await body('/queue'), { capacity: 4, workers: [{ pausedBecause: undefined }] })
    await worker.close()
  },
)

void t.test('a CLI that is not there ends executions as CLAUDE_NOT_FOUND, and is found once it is', async (t) => {
  const path = join(service.directory, 'later')
  const worker = await service.openWorker({ CC_EXECUTOR_CLAUDE_BIN: path, CC_EXECUTOR_SANDBOX_READ: dirname(binary) })
  const first = await service.submit({ prompt: 'Say hello' })
  t.match(await service.finished(first.id), { outcome: { code: 'CLAUDE_NOT_FOUND' } })
  await wrap('later', '')
  await until(async () => (await body('/health/ready')).status === 'ok', 'it is found')
  const second = await service.submit({ prompt: 'Say hello' })
  t.match(await service.finished(second.id), { status: 'succeeded' })
  await worker.close()
})

void t.test(
  'a wrapper whose target runs do not see is told with the remedy, by the worker, the outcome and the doctor',
  { skip: lack },
  async (t) => {
    const { CC_EXECUTOR_CLAUDE_BIN: path } = await wrap('hidden', '')
    const worker = await service.openWorker({ CC_EXECUTOR_CLAUDE_BIN: path })
    const ready = await service.call('GET', '/health/ready')
    t.match(
      [ready.status, ready.body.parts.claude],
      [
        503,
        { status: 'failed', message: /hidden starts outside of the sandbox but not in it .*CC_EXECUTOR_SANDBOX_READ=/ },
      ],
    )
    const { id } = await service.submit({ prompt: 'Say hello' })
    t.match(await service.finished(id), {
      outcome: { code: 'CLAUDE_NOT_FOUND', message: /not in the sandbox.*CC_EXECUTOR_SANDBOX_READ=/ },
    })
    await worker.close()
    const config = readConfig({ ...service.environment, CC_EXECUTOR_CLAUDE_BIN: path })
    t.match(
      (await checkClaude(config)).find(({ part }) => part === 'claude in the sandbox'),
      { status: 'failed', message: /hidden starts outside/, remedy: /^CC_EXECUTOR_SANDBOX_READ=/ },
    )

    const seen = await service.openWorker({ CC_EXECUTOR_CLAUDE_BIN: path, CC_EXECUTOR_SANDBOX_READ: dirname(binary) })
    t.equal((await service.call('GET', '/health/ready')).status, 200)
    const shown = await service.submit({ prompt: 'Say hello' })
    t.match(await service.finished(shown.id), { status: 'succeeded' }, 'with the remedy it runs')
    await seen.close()

    const view = join(service.directory, 'view')
    await mkdir(view)
    const late = await wrap('late', `[ ! -e ${view}/go ] || { echo "2.1.332 (Claude Code)"; exit; }`)
    const waiting = await service.openWorker({ ...late, CC_EXECUTOR_SANDBOX_READ: view })
    t.equal((await service.call('GET', '/health/ready')).status, 503)
    await writeFile(join(view, 'go'), '')
    await until(async () => (await body('/health/ready')).status === 'ok', 'what came into view is seen')
    await waiting.close()

    const onHost = await service.openWorker({ CC_EXECUTOR_CLAUDE_BIN: path, CC_EXECUTOR_SANDBOX: 'host' })
    t.equal((await service.call('GET', '/health/ready')).status, 200, 'nor does it matter to runs without a sandbox')
    const free = await service.submit({ prompt: 'Say hello' })
    t.match(await service.finished(free.id), { status: 'succeeded' })
    await onHost.close()
  },
)

void t.test('a worker with a CLI below the range does not open', async (t) => {
  await t.rejects(service.openWorker(await wrap('old', 'echo "2.1.196 (Claude Code)"; exit')), {
    name: 'ConfigError',
    message: /^CLAUDE_TOO_OLD: .*2\.1\.196 .*is older than 2\.1\.197.*--claude=latest/,
  })
  t.equal((await body('/queue')).workers.length, 0)
})

void t.test(
  'a CLI newer than the tests is well; how it behaves is found out beside the work, without a credential, and kept',
  async (t) => {
    const seen = join(service.directory, 'seen')
    const env = await wrap(
      'newer',
      `[ "$1" = --version ] && { echo "2.1.9999 (Claude Code)"; exit; }\nenv | grep -c of-the-user >> ${seen}`,
    )
    const worker = await service.openWorker({ ...env, ANTHROPIC_API_KEY: 'of-the-user' })
    const execution = await service.submit({ prompt: 'Say hello' })
    const { status } = await service.finished(execution.id)
    // The oldest one in this disguise is given a flag of the newest, which it does not know.
    t.equal(
      status,
      real.claude.behaviour.knowsPromptSnapshot ? 'succeeded' : 'failed',
      'work is taken meanwhile, as the newest that is known',
    )
    const message =
      /^Claude CLI 2\.1\.9999 \(newer than the tested 2\.1\.197 to 2\.1\.332, which is fine\), default model claude-/
    await until(async () => message.test((await body('/health/ready')).parts.claude.message), 'the self-check is done')
    const ready = await service.call('GET', '/health/ready')
    t.match(
      [ready.status, ready.body.parts.claude],
      [200, { status: 'ok', version: '2.1.9999', defaultModel: real.claude.behaviour.defaultModel }],
    )
    await worker.close()
    const [kept] = JSON.parse(await readFile(join(service.directory, 'data/claude-behaviour.json'), 'utf8')) as {
      key: string
      behaviour: object
    }[]
    t.match(kept, { key: /^2\.1\.9999:/, behaviour: real.claude.behaviour, problems: [] })
    const starts = (await readFile(seen, 'utf8')).trim().split('\n')
    t.ok(
      starts.length >= 3 && starts.every((count) => count === '0'),
      `no start has seen the user's key: ${starts.join(' ')}`,
    )

    const again = await service.openWorker(env)
    await until(async () => message.test((await body('/health/ready')).parts.claude.message), 'known at once')
    t.equal((await readFile(seen, 'utf8')).trim().split('\n').length, starts.length, 'and not tried again')
    await again.close()
  },
)

void t.test(
  'a worker that is given up while it tries its CLI leaves nothing of the trial',
  { skip: lack },
  async (t) => {
    const trials = async (): Promise<string[]> =>
      (await readdir(service.config.dataDir)).filter((name) => name.startsWith('probe-'))
    const env = await wrap('hanging', `case "$HOME" in */probe-*) : > "$HOME/mark"; exec tail -f "$HOME/mark";; esac`)
    const giveUp = new AbortController()
    const opened = openWorker(readConfig({ ...service.environment, ...env }), service.redis.url, giveUp.signal)
    opened.catch(() => undefined)
    await until(
      async () => (await trials()).some((name) => existsSync(join(service.config.dataDir, name, 'home/mark'))),
      'the trial is under way',
    )
    const askedAt = performance.now()
    giveUp.abort()
    await t.rejects(opened, { name: 'AbortError' })
    t.same(await trials(), [])
    t.ok(performance.now() - askedAt < 18_000, 'it did not wait for the 20 s that a trial has')

    // The same where it only looks again.
    const [first, go] = [join(service.directory, 'first'), join(service.directory, 'go-on')]
    const again = await wrap(
      'hanging-later',
      `[ "$1" != --version ] || [ -e ${first} ] || { : > ${first}; exit 1; }
     case "$1-$HOME" in --version-*cc-executor-probe-*) : > ${go}; exec tail -f ${first};; esac`,
    )
    const worker = await service.openWorker(again)
    await until(() => existsSync(go), 'it asks again')
    const closedAt = performance.now()
    await worker.close()
    t.ok(performance.now() - closedAt < 9_000, 'nor for the 10 s of an answer')
  },
)

void t.test('a CLI that is replaced under a running worker is looked at anew', async () => {
  const version = (number: string): Promise<NodeJS.ProcessEnv> =>
    wrap('updated', `[ "$1" = --version ] && { echo "${number} (Claude Code)"; exit; }`)
  const worker = await service.openWorker(await version('2.1.203'))
  const isVersion = async (number: string): Promise<boolean> =>
    (await body('/health/ready')).parts.claude.version === number
  await until(() => isVersion('2.1.203'), 'the first one')
  await version('2.1.277')
  await until(() => isVersion('2.1.277'), 'the second one')
  await version('2.1.5')
  // Looked at while it is still being written, it is first one that cannot be started.
  const held = /^CLAUDE_TOO_OLD: .*2\.1\.5 /
  await until(async () => held.test((await body('/queue')).workers[0].pausedBecause ?? ''), 'the third one holds it')
  await worker.close()
})

void t.test('a model that wants a newer CLI ends the execution with CLAUDE_TOO_OLD and the version', async (t) => {
  const worker = await service.openWorker()
  const refused = await service.submit({ prompt: scripted({ status: 400, minimumVersion: '9.0.0' }, { text: 'x' }) })
  t.match(await service.finished(refused.id), {
    status: 'failed',
    outcome: {
      code: 'CLAUDE_TOO_OLD',
      requiredVersion: '9.0.0',
      apiStatus: 400,
      message: /too old for this model, which needs version 9\.0\.0 or newer.*npm run setup -- --claude=latest/,
    },
  })
  const taken = await service.submit({
    prompt: scripted({ status: 400, minimumVersion: real.claude.version }, { text: 'taken' }),
  })
  t.match(await service.finished(taken.id), { status: 'succeeded', outcome: { result: 'taken' } })
  await worker.close()
})
