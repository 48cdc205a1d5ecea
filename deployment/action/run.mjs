// What the action does, with nothing but Node: submits, shows the log as it grows, writes outputs and a summary.
import { randomUUID } from 'node:crypto'
import { appendFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const WAIT_SECONDS = 20
/** A call that has no answer by then is sent again: the service answers a wait after its seconds. */
const CALL_MS = 60_000
/** The service may be restarted meanwhile; an execution goes on without its API. */
const UNREACHABLE_MS = 10 * 60_000
const MOST_PAUSE_MS = 15_000
/** Outputs of a step and its summary may have 1 MiB each. */
const RESULT_BYTES = 64 * 1024
const SUMMARY_BYTES = 768 * 1024
const SHOWN_CHARACTERS = 20_000

class InputError extends Error {}

const input = (name) => process.env[`INPUT_${name}`] ?? ''

// The log. What Claude and its tools write must never be read as commands to the runner, so these are off but for the
// lines that this program means as such.

const silence = randomUUID()
const write = (text) => void process.stdout.write(text)
let isLineOpen = false

function endLine() {
  if (isLineOpen) write('\n')
  isLineOpen = false
}

function say(text) {
  if (text === '') return
  write(text)
  isLineOpen = !text.endsWith('\n')
}

function line(text) {
  endLine()
  write(`${text}\n`)
}

const escapeData = (text) => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')

function command(name, text = '') {
  endLine()
  write(`::${silence}::\n::${name}::${escapeData(text)}\n::stop-commands::${silence}\n`)
}

const shorten = (text, most = SHOWN_CHARACTERS) =>
  text.length <= most ? text : `${text.slice(0, most)}… (${text.length - most} characters more)`

// The request.

function readJson(name, text, isRight, wanted) {
  let value
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new InputError(`${name}: expected ${wanted}; it is no JSON (${error.message})`)
  }
  if (!isRight(value)) throw new InputError(`${name}: expected ${wanted}`)
  return value
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

function readRequest() {
  const request = input('REQUEST') === '' ? {} : readJson('request', input('REQUEST'), isObject, 'a JSON object')
  if (input('PROMPT') !== '') request.prompt = input('PROMPT')
  if (input('TASKS') !== '')
    request.tasks = readJson('tasks', input('TASKS'), Array.isArray, 'a JSON array of prompts or objects with a prompt')
  if (request.prompt === undefined && request.tasks === undefined && request.command === undefined)
    throw new InputError('prompt: needed where there is neither tasks nor a request with a prompt')
  return request
}

function readService() {
  const token = input('TOKEN')
  if (token === '') throw new InputError('token: needed; is the secret known to this workflow?')
  let base
  try {
    base = new URL(input('URL'))
  } catch {
    throw new InputError(
      `url: expected an address such as https://agents.example.org; it is ${input('URL') || 'empty'}`,
    )
  }
  if (base.protocol !== 'https:' && base.protocol !== 'http:')
    throw new InputError(`url: expected http or https; it is ${base.protocol.slice(0, -1)}`)
  return { token, base: base.href.replace(/\/+$/, '') }
}

// The service.

class ServiceError extends Error {}

function openService({ token, base }) {
  async function ask(path, { method = 'GET', headers = {}, body } = {}) {
    const answer = await fetch(`${base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      signal: AbortSignal.timeout(CALL_MS),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { answer, text: await answer.text() }
  }

  /** Sent again until the service has answered: each call may be repeated, a submission by its key. */
  return async function call(path, options) {
    const giveUpAt = performance.now() + UNREACHABLE_MS
    for (let attempt = 0; ; attempt += 1) {
      let why
      let waitMs = Math.min(MOST_PAUSE_MS, 500 * 2 ** attempt)
      try {
        const { answer, text } = await ask(path, options)
        if (answer.ok) return text
        const problem = text.startsWith('{') ? JSON.parse(text) : {}
        why = [problem.code ?? `HTTP ${answer.status}`, problem.detail ?? problem.title].filter(Boolean).join(': ')
        for (const { path: field, message } of problem.errors ?? []) why += `\n  ${field}: ${message}`
        if (answer.status !== 429 && answer.status !== 502 && answer.status !== 503 && answer.status !== 504)
          throw new ServiceError(why)
        waitMs = Math.max(waitMs, Number(answer.headers.get('retry-after') ?? 0) * 1000)
      } catch (error) {
        if (error instanceof ServiceError) throw error
        why ??= String(error.cause?.message ?? error.message)
      }
      if (performance.now() + waitMs > giveUpAt) throw new ServiceError(`the service does not answer: ${why}`)
      if (attempt === 0) line(`the service does not answer (${why}); it is asked again`)
      await pause(waitMs)
    }
  }
}

// The events.

function createLog() {
  const tools = new Map()
  let sawDelta = false
  let message

  function show(title, text) {
    command('group', title)
    line(shorten(text))
    command('endgroup')
  }

  const textOf = (content) =>
    typeof content === 'string'
      ? content
      : (content ?? []).map((block) => (block?.type === 'text' ? block.text : `(${block?.type})`)).join('\n')

  /** Each call with its result, once it has one: calls may go on side by side, groups may not. */
  function showResults(blocks) {
    for (const block of Array.isArray(blocks) ? blocks : []) {
      const tool = block?.type === 'tool_result' ? tools.get(block.tool_use_id) : undefined
      if (!tool) continue
      tools.delete(block.tool_use_id)
      const failed = block.is_error === true ? ' (failed)' : ''
      show(`${tool.name} ${shorten(tool.input, 160)}${failed}`, `${tool.input}\n\n${textOf(block.content)}`)
    }
  }

  const notes = {
    'execution.queued': ({ position }) => position > 1 && `queued, place ${position}`,
    'execution.started': ({ workerId, claudeVersion }) => `started by ${workerId}, Claude Code ${claudeVersion}`,
    'execution.retrying': ({ message: why, reason, nextAttempt }) => `${why ?? reason} Attempt ${nextAttempt} follows.`,
    'execution.parked': ({ reason, message: why, until }) => `waits until ${until}: ${why ?? reason}`,
    'execution.unparked': ({ by }) => `goes on, by ${by}`,
    'execution.cancel_requested': ({ by, reason }) => `cancel requested by ${by}${reason ? `: ${reason}` : ''}`,
    'tool.denied': ({ tool }) => `${tool} was denied`,
    'approval.requested': ({ approval }) => `${approval.tool} waits for a decision: cc-executor approve ${approval.id}`,
    'approval.decided': ({ decision, by }) => `${decision} by ${by}`,
    'task.started': ({ index, executionId }) => `task ${index} started: ${executionId}`,
    'task.finished': ({ index, status, code }) => `task ${index} ${status}${code ? ` (${code})` : ''}`,
    output: ({ data }) => data,
    'text.reset': () => 'the answer was cut off and starts again',
  }

  return function log({ type, data }) {
    if (type === 'text.delta') {
      if (message !== data.message) endLine()
      message = data.message
      sawDelta = true
      say(data.text)
    } else if (type === 'claude.message' && data.message.type === 'assistant') {
      const text = textOf(
        (data.message.message?.content ?? []).filter(
          (block) => block?.type === 'text' && !data.message.parent_tool_use_id,
        ),
      )
      // Without deltas nothing of it was shown.
      if (!sawDelta && text !== '') line(text)
      if (text !== '') sawDelta = false
    } else if (type === 'claude.message' && data.message.type === 'user') showResults(data.message.message?.content)
    else if (type === 'tool.started') tools.set(data.toolUseId, data)
    else {
      const note = notes[type]?.(data)
      if (note) line(note)
    }
  }
}

/** To its end; of a task list each task as it is begun, since its events are its own. */
async function follow(call, id) {
  const log = createLog()
  for (let after = 0, finished = false; !finished;) {
    const page = JSON.parse(await call(`/executions/${id}/events?after=${after}&limit=200&waitSeconds=${WAIT_SECONDS}`))
    for (const event of page.events) {
      log(event)
      if (event.type === 'task.started') await follow(call, event.data.executionId)
    }
    after = page.nextAfter
    finished = page.finished && !page.hasMore
  }
  endLine()
}

// What is left of it.

function setOutput(name, value) {
  const file = process.env.GITHUB_OUTPUT
  const mark = `end-${randomUUID()}`
  if (file) appendFileSync(file, `${name}<<${mark}\n${value}\n${mark}\n`)
}

const cut = (text, bytes) =>
  Buffer.byteLength(text) <= bytes
    ? text
    : `${Buffer.from(text)
        .subarray(0, bytes)
        .toString()
        .replace(/\uFFFD$/, '')}…`

function summarize(execution, receipt) {
  const { id, status, usage = {}, outcome = {} } = execution
  const title = `### Claude Code: ${status}${outcome.code ? ` (${outcome.code})` : ''}`
  const seconds = (Date.parse(execution.finishedAt) - Date.parse(execution.startedAt ?? execution.createdAt)) / 1000
  const rows = [
    ['Execution', `\`${id}\``],
    ['Verification', outcome.verification?.status ?? 'none'],
    ['Cost', usage.costUsd === undefined ? '' : `$${usage.costUsd.toFixed(4)}`],
    ['Tokens', `${usage.inputTokens ?? 0} in, ${usage.outputTokens ?? 0} out`],
    ['Time', `${seconds.toFixed(1)} s`],
  ]
  const table = ['| | |', '|---|---|', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n')
  const ownWords = outcome.message ? `\n\n${outcome.message}` : ''
  const text = `${title}\n\n${table}${ownWords}\n\n<details><summary>Receipt</summary>\n\n${receipt}\n\n</details>\n`
  const file = process.env.GITHUB_STEP_SUMMARY
  if (file) appendFileSync(file, cut(text, SUMMARY_BYTES))
}

async function conclude(call, id) {
  const execution = JSON.parse(await call(`/executions/${id}`))
  const { status, outcome = {}, usage = {} } = execution
  const receipt = await call(`/executions/${id}/receipt`, { headers: { accept: 'application/json' } })
  const folder = process.env.RUNNER_TEMP ?? tmpdir()
  const file = join(folder, `receipt-${id}.json`)
  writeFileSync(file, receipt)
  const { result = '' } = outcome
  setOutput('status', status)
  setOutput('code', outcome.code ?? '')
  setOutput('verification', outcome.verification?.status ?? 'none')
  setOutput('result', cut(typeof result === 'string' ? result : JSON.stringify(result), RESULT_BYTES))
  setOutput('cost-usd', usage.costUsd ?? '')
  setOutput('receipt', file)
  summarize(execution, await call(`/executions/${id}/receipt`, { headers: { accept: 'text/markdown' } }))
  const verification = outcome.verification?.status
  if (status !== 'succeeded') {
    const code = outcome.code ? ` (${outcome.code})` : ''
    command('error title=Claude Code', `${status}${code}${outcome.message ? `: ${outcome.message}` : ''}`)
    return 1
  }
  if (verification === 'failed') {
    const failed = outcome.verification.checks.filter((check) => check.status === 'fail')
    const text = failed.map(({ name, detail }) => `${name}: ${detail}`).join('\n')
    const counts = input('REQUIRE_VERIFIED') !== 'false'
    command(`${counts ? 'error' : 'warning'} title=The service's checks failed`, text)
    return counts ? 1 : 0
  }
  return 0
}

async function cancel(call, accepted) {
  try {
    await call(`/executions/${await accepted}/cancel`, { method: 'POST', body: { reason: 'the job was cancelled' } })
  } finally {
    process.exit(130)
  }
}

async function run() {
  const service = readService()
  const request = readRequest()
  const call = openService(service)
  const submitted = call('/execute', { method: 'POST', body: request, headers: { 'idempotency-key': randomUUID() } })
  const accepted = submitted.then((text) => JSON.parse(text).id)
  // A job that is cancelled takes its execution with it, one that is being submitted too; the runner kills what has not
  // gone after some seconds.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void cancel(call, accepted))
  const id = await accepted
  setOutput('execution-id', id)
  line(`execution ${id} at ${service.base}`)
  await follow(call, id)
  return conclude(call, id)
}

// First of all: the runner masks it from here on, wherever it may stand.
if (input('TOKEN') !== '') write(`::add-mask::${escapeData(input('TOKEN'))}\n`)
write(`::stop-commands::${silence}\n`)
try {
  process.exitCode = await run()
  endLine()
} catch (error) {
  const isExpected = error instanceof InputError || error instanceof ServiceError
  command('error title=CC Executor', isExpected ? error.message : String(error.stack))
  process.exitCode = 1
}
