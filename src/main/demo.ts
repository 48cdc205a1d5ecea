import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { within } from '../platform/deadline.js'
import type { Event } from '../protocol/events.js'
import type { Execution } from '../protocol/execution.js'
import { openStart, type Started } from './start.js'

const RUN_DEADLINE_MS = 25_000
const PROMPT = 'Say hello and tell what you are.'

const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** Follows an execution over the WebSocket and resolves with its last event. */
function watch({ api, token }: { api: Started['api']; token: string }, executionId: string): Promise<Event<'execution.finished'>> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/ws`, { headers: { authorization: `Bearer ${token}` } })
    socket.once('error', reject)
    socket.once('open', () => socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execution.subscribe', params: { executionId, after: 0 } })))
    socket.on('message', (data: Buffer) => {
      // Safe: our own server's frames, in the protocol's shapes.
      const { method, params, error } = JSON.parse(data.toString()) as { method?: string; params?: { event: Event }; error?: { message: string } }
      if (error) reject(new Error(error.message))
      if (method !== 'execution.event' || !params) return
      const { event } = params
      const text = event.type === 'text.delta' ? (event as Event<'text.delta'>).data.text : ''
      say(`  ${String(event.seq).padStart(3)}  ${event.type}${text === '' ? '' : `  ${JSON.stringify(text)}`}`)
      if (event.type !== 'execution.finished') return
      socket.close()
      resolve(event as Event<'execution.finished'>)
    })
  })
}

/** The whole way by itself: start, POST /execute, the real CLI against the simulator, events over the WebSocket. */
async function demo(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'cc-executor-demo-'))
  const environment = { ...process.env, CC_EXECUTOR_DATA_DIR: folder, CC_EXECUTOR_PORT: '0', CC_EXECUTOR_HOST: '127.0.0.1', CC_EXECUTOR_DRAIN_SECONDS: '0', LOG_LEVEL: 'error', REDIS_URL: undefined }
  let started: Started | undefined
  try {
    say('Starting API, worker, a private Redis and the simulated model …')
    started = await openStart({ environment, simulate: true })
    const { api, worker, config } = started
    say(`${api.url} is up. ${worker.claude.message}, containment ${worker.containment.level}.\n`)
    const token = (await readFile(config.tokenFile, 'utf8')).trim()
    say(`POST /execute {"prompt": ${JSON.stringify(PROMPT)}}`)
    const response = await fetch(`${api.url}/execute`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: PROMPT }),
    })
    // Safe: the service's own answer.
    const execution = (await response.json()) as Execution
    say(`${response.status} ${execution.id}\n\nEvents over the WebSocket:`)
    const { data } = await within(RUN_DEADLINE_MS, 'the demo', watch({ api, token }, execution.id))
    const { outcome, usage } = data
    say(`\nStatus: ${outcome.status}${outcome.code === undefined ? '' : ` (${outcome.code}: ${outcome.message ?? ''})`}`)
    say(`Answer: ${outcome.result ?? ''}`)
    say(`Usage:  ${usage.inputTokens} tokens in, ${usage.outputTokens} out, ${usage.turns} turns, ${usage.durationMs} ms, $${usage.costUsd.toFixed(4)} by the CLI's estimate (simulated)`)
    if (outcome.status !== 'succeeded') process.exitCode = 1
  } finally {
    await started?.close()
    await rm(folder, { recursive: true, force: true })
  }
}

demo()
  .catch((error: unknown) => {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
  .finally(() => process.exit())
