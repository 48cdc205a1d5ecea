// A pause stops a run's processes and its clocks, or neither of them, and is told once it is true.
import { PassThrough } from 'node:stream'
import t from 'tap'
import type { McpServerState } from '../../src/claude/stream/mcp-status.js'
import { PauseSwitch } from '../../src/executions/run/pause-switch.js'
import { followServers } from '../../src/executions/run/run-servers.js'
import type { NewEvent } from '../../src/protocol/events.js'
import { turns } from '../support/deadlines.js'

const PAUSE = { wanted: true, by: 'somebody' }
const RESUME = { wanted: false, by: 'somebody' }

function createScene(failing: Set<string>) {
  const did: string[] = []
  const errors: unknown[] = []
  const step = (name: string) => (): void => {
    did.push(name)
    if (failing.delete(name)) throw new Error(`${name} failed`)
  }
  const later = (name: string) => async (): Promise<void> => step(name)()
  const pauses = new PauseSwitch({
    child: { pause: later('pause'), resume: later('resume') },
    clocks: { pause: step('stop clocks'), resume: step('start clocks') },
    isOpen: () => true,
    record: (state) => later(state)(),
    onLimit: () => undefined,
    onError: (error) => errors.push(error),
  })
  return { pauses, did, errors }
}

void t.test('processes that cannot be stopped go on, clocks included, and the next renewal tries again', async (t) => {
  const { pauses, did, errors } = createScene(new Set(['pause']))
  pauses.request(PAUSE)
  await pauses.close()
  t.same(did, ['pause', 'resume'], 'it is not told as paused, and its clocks run')
  t.match(errors, [{ message: 'pause failed' }])
  pauses.request(PAUSE)
  pauses.request(PAUSE)
  pauses.request(RESUME)
  pauses.request(RESUME)
  await pauses.close()
  t.same(did.slice(2), ['pause', 'stop clocks', 'paused', 'resume', 'start clocks', 'running'])
})

void t.test('what fails of a resume, or of telling, is tried again by itself', async (t) => {
  const { pauses, did } = createScene(new Set(['paused', 'resume', 'running']))
  for (const control of [PAUSE, PAUSE, RESUME, RESUME, RESUME]) pauses.request(control)
  await pauses.close()
  t.same(did, ['pause', 'stop clocks', 'paused', 'paused', 'resume', 'resume', 'start clocks', 'running', 'running'])
})

void t.test(
  'the wait for MCP servers is measured by the clocks of the run, which stand still in a pause',
  async (t) => {
    const stdin = new PassThrough()
    const asked: string[] = []
    stdin.setEncoding('utf8').on('data', (text: string) => asked.push(text))
    const told: NewEvent[] = []
    const servers = followServers({
      run: { mcpServers: { slow: { command: 'cat' } }, mcpRequired: true },
      limitSeconds: 0.001,
      child: { stdin },
      report: async (events) => void told.push(...events),
    })
    /** They never fire by themselves: a run that is paused. */
    const clocks: Array<{ milliseconds: number; fire: () => void; isClosed: boolean }> = []
    const causes: unknown[] = []
    const connecting = servers?.connect(
      new AbortController().signal,
      (milliseconds, fire) => {
        const clock = { milliseconds, fire, isClosed: false }
        clocks.push(clock)
        return { close: () => void (clock.isClosed = true) }
      },
      (cause) => causes.push(cause),
    )
    const answer = (status: McpServerState['status']): void => {
      // Safe: what was just asked is one line of the control protocol.
      const { request_id } = JSON.parse(asked.at(-1) ?? '') as { request_id: string }
      servers?.take({
        type: 'control_response',
        response: { request_id, response: { mcpServers: [{ name: 'slow', status }] } },
      })
    }
    const untilAsked = async (times: number): Promise<void> => {
      await turns(() => asked.length >= times, `it is asked ${times} times`)
    }
    await untilAsked(1)
    answer('pending')
    await untilAsked(2)
    t.same(told, [], 'the limit of a millisecond is long over by any other clock')
    t.match(clocks, [{ isClosed: true }, { isClosed: false }])
    answer('connected')
    await connecting
    t.match(told, [{ type: 'mcp.status', data: { servers: [{ name: 'slow', status: 'connected' }] } }])
    t.same(causes, [])
    t.ok(clocks.every(({ isClosed }) => isClosed))
  },
)
