// A process that is run as the CLI, without a service around it.
import t from 'tap'
import { followServers } from '../../src/executions/run/run-servers.js'
import type { NewEvent } from '../../src/protocol/events.js'
import { startTimer } from '../../src/claude/stream/result-phases.js'
import { runClaude } from '../../src/claude/stream/run-claude.js'
import { createTranslator } from '../../src/claude/stream/translate-message.js'
import { startSupervised } from '../../src/supervision/supervised-process.js'

const MIB = 1024 * 1024

void t.test('a CLI that is gone before its first line ends what that line was to wait for', async (t) => {
  const child = await startSupervised({
    containment: { level: 'weak', strong: false, detail: '' },
    file: 'false',
    args: [],
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    marker: 'test/gone-early',
    heartbeatTimeoutMs: 60_000,
  })
  t.teardown(() => child.killAll())
  const told: NewEvent[] = []
  const servers = followServers({
    run: { mcpServers: { mute: { command: 'cat' } }, mcpRequired: true },
    limitSeconds: 600,
    child,
    report: async (events) => void told.push(...events),
  })
  const causes: unknown[] = []
  let connecting: Promise<void> | undefined
  const report = await runClaude({
    child,
    firstLine: '{}\n',
    beforeFirstLine: (over) =>
      (connecting = servers?.connect(over, startTimer, (cause) => causes.push(cause))) ?? Promise.resolve(),
    translator: createTranslator({ partialText: true, rawPartials: false }),
    lineLimitBytes: MIB,
    emit: () => Promise.resolve(),
    stop: new AbortController().signal,
  })
  t.match(report.exit, { exitCode: 1 })
  await connecting
  t.match(told, [{ type: 'mcp.status', data: { servers: [{ name: 'mute', error: /run ended/ }] } }])
  t.same(causes, [], 'its exit is the cause')
})

void t.test('a run whose output can be taken no more is ended, and the reason is thrown', async (t) => {
  const child = await startSupervised({
    containment: { level: 'weak', strong: false, detail: '' },
    file: 'sh',
    args: ['-c', 'echo x; exec sleep 600'],
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    marker: 'test/not-taken',
    heartbeatTimeoutMs: 60_000,
  })
  t.teardown(() => child.killAll())
  const run = runClaude({
    child,
    firstLine: '{}\n',
    translator: createTranslator({ partialText: true, rawPartials: false }),
    lineLimitBytes: MIB,
    emit: () => Promise.reject(new Error('it is not taken')),
    stop: new AbortController().signal,
  })
  await t.rejects(run, { message: 'it is not taken' })
  t.match(await child.exited, { signal: 'SIGKILL' })
})

void t.test('a run that cannot be let go on from a pause is ended all the same', async (t) => {
  const child = await startSupervised({
    containment: { level: 'weak', strong: false, detail: '' },
    file: 'sleep',
    args: ['600'],
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    marker: 'test/never-resumed',
    heartbeatTimeoutMs: 60_000,
  })
  t.teardown(() => child.killAll())
  const translator = createTranslator({ partialText: true, rawPartials: false })
  const stuck = { ...child, resume: () => Promise.reject(new Error('it stays as it is')) }
  const report = await runClaude({
    child: stuck,
    firstLine: '{}\n',
    translator,
    lineLimitBytes: MIB,
    emit: () => Promise.resolve(),
    stop: AbortSignal.abort('gently'),
  })
  t.match(report.exit, { signal: 'SIGTERM' })
})
