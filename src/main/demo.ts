import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openClient, type Client } from '../client/open-client.js'
import { within } from '../platform/abort-signals.js'
import type { Event } from '../protocol/events.js'
import { openStart } from './start.js'
import { type Started } from './lifecycle/started.js'

const RUN_DEADLINE_MS = 25_000
const PROMPT = 'Say hello and tell what you are.'

const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** Follows an execution over the WebSocket and gives its last event. */
async function watch(client: Client, executionId: string): Promise<Event<'execution.finished'>> {
  for await (const event of client.follow(executionId)) {
    const text = event.type === 'text.delta' ? (event as Event<'text.delta'>).data.text : ''
    say(`  ${String(event.seq).padStart(3)}  ${event.type}${text === '' ? '' : `  ${JSON.stringify(text)}`}`)
    if (event.type === 'execution.finished') return event as Event<'execution.finished'>
  }
  throw new Error('the events ended without execution.finished')
}

/** The whole way by itself: start, POST /execute, the real CLI against the simulator, events over the WebSocket. */
async function demo(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'cc-executor-demo-'))
  const environment = {
    ...process.env,
    CC_EXECUTOR_DATA_DIR: folder,
    CC_EXECUTOR_PORT: '0',
    CC_EXECUTOR_HOST: '127.0.0.1',
    CC_EXECUTOR_DRAIN_SECONDS: '0',
    LOG_LEVEL: 'error',
    REDIS_URL: undefined,
    REDIS_URL_FILE: undefined,
  }
  let started: Started | undefined
  let client: Client | undefined
  try {
    say('Starting API, worker, a private Redis and the simulated model …')
    started = await openStart({ environment, simulate: true })
    const { api, worker, config } = started
    say(`${api.url} is up. ${worker.claude.message}, containment ${worker.containment.level}.\n`)
    const token = (await readFile(config.tokenFile, 'utf8')).trim()
    say(`POST /execute {"prompt": ${JSON.stringify(PROMPT)}}`)
    client = openClient({ url: api.url, token })
    const execution = await client.execute({ prompt: PROMPT })
    say(`accepted as ${execution.id}\n\nEvents over the WebSocket:`)
    const { data } = await within(RUN_DEADLINE_MS, 'the demo', watch(client, execution.id))
    const { outcome, usage } = data
    say(
      `\nStatus: ${outcome.status}${outcome.code === undefined ? '' : ` (${outcome.code}: ${outcome.message ?? ''})`}`,
    )
    say(`Answer: ${typeof outcome.result === 'string' ? outcome.result : ''}`)
    say(
      `Usage:  ${usage.inputTokens} tokens in, ${usage.outputTokens} out, ${usage.turns} turns, ` +
        `${usage.durationMs} ms, $${usage.costUsd.toFixed(4)} by the CLI's estimate (simulated)`,
    )
    say(
      `\nIts signed receipt:\n\n${(await client.receipt(execution.id, { markdown: true })).trimEnd().replace(/^/gm, '  ')}`,
    )
    if (outcome.status !== 'succeeded') process.exitCode = 1
  } finally {
    client?.close()
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
