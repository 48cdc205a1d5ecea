// The service that `cc-executor mcp` finds or starts: two that share one, and what is told where there is none.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { livingOf, startCli, treeOf } from '../support/processes.js'
import { scripted } from '../support/environment.js'
import { openMcpFolder, saysProtocolOnly } from './harness.js'
import { until } from '../support/deadlines.js'

void t.test(
  'two servers that start at once join one service, which ends by itself after the last has gone',
  async (t) => {
    const mcp = await openMcpFolder(t, { CC_EXECUTOR_IDLE_SECONDS: '4' })
    // A record that a dead service left: its process number is somebody else's now.
    await mkdir(join(mcp.dataDir, 'services'), { recursive: true, mode: 0o700 })
    const dead = {
      instanceId: 'dead',
      pid: process.pid,
      processStart: '1',
      startedAt: '2026-01-01T00:00:00.000Z',
      state: 'serving',
      url: 'http://127.0.0.1:9',
    }
    await writeFile(join(mcp.dataDir, 'services', 'dead.json'), JSON.stringify(dead))

    const sessions = await Promise.all([mcp.connect(), mcp.connect()])
    const urls = await Promise.all(sessions.map(async ({ call }) => (await call('get_executor_status')).structured.url))
    t.equal(urls[0], urls[1])
    t.equal((await mcp.services()).length, 1)
    for (const session of sessions) saysProtocolOnly(t, session)
    const { structured } = await sessions[0].call('execute', {
      prompt: scripted({ text: 'a', delayMs: 2_000 }, { text: 'b', delayMs: 500 }),
      waitSeconds: 0,
    })
    const service = await mcp.serving()
    const [first, second] = sessions
    await first.close()
    t.match(
      (await second.call('wait_for_execution', { executionId: structured.id, waitSeconds: 45 })).structured,
      { status: 'succeeded' },
      'one that leaves stops nothing',
    )
    await second.close()
    await until(async () => (await mcp.services()).length === 0, 'the idle service has ended', 120_000)
    await until(() => livingOf(treeOf(service?.pid ?? 0)).length === 0, 'its process has ended')
    t.match(await readFile(join(mcp.dataDir, 'service.log'), 'utf8'), /stopping \(idle\)/)
  },
)

void t.test(
  'what cannot be had is told: no service at the address, a wrong setting, one that does not start, one that is not simulated',
  async (t) => {
    const nowhere = await openMcpFolder(t, {
      CC_EXECUTOR_URL: 'http://127.0.0.1:1',
      CC_EXECUTOR_TOKEN: 'a-token-of-sixteen',
    })
    const away = await nowhere.connect()
    const missing = await away.call('execute', { prompt: 'x' })
    t.ok(missing.isError)
    t.match(missing.structured, {
      code: 'UNREACHABLE',
      retryable: true,
      detail: /cannot be reached at http:\/\/127\.0\.0\.1:1/,
    })

    const broken = await openMcpFolder(t, { CC_EXECUTOR_CONCURRENCY: 'many' })
    const failing = startCli(t, ['mcp', '--print-config'], broken.env)
    t.match(await failing.ended, { code: 1 }, 'a wrong setting is told at once')
    const hidden = await openMcpFolder(t, { PATH: '/nowhere', CC_EXECUTOR_CACHE_DIR: '/nowhere' })
    const unstarted = await (await hidden.connect()).call('get_executor_status')
    t.match(unstarted, {
      isError: true,
      structured: {
        code: 'UNREACHABLE',
        detail: /The service did not start: No redis-server was found: .*service\.log/,
      },
    })

    const real = await openMcpFolder(t, { ANTHROPIC_API_KEY: 'sk-ant-api03-none' })
    startCli(t, ['start'], real.env)
    await until(async () => (await real.serving()) !== undefined, 'a service without --simulate')
    const wrong = await (await real.connect()).call('execute', { prompt: 'x' })
    t.match(wrong, {
      isError: true,
      structured: { code: 'WRONG_SERVICE', retryable: false, detail: /runs the real Claude.*CC_EXECUTOR_DATA_DIR/ },
    })
  },
)
