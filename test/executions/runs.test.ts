// Executions from submission to end, with the real CLI and the simulator; the queue is in test/queue.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

const FOR_EVER = { hangMs: 3_600_000 }
const SECRET = 'a-token-that-no-run-may-see'

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_AUTH: 'open',
    CC_EXECUTOR_TOKENS: `ops=${SECRET}`,
    REDIS_URL: `redis://:${SECRET}@127.0.0.1:1`,
    CC_EXECUTOR_CONCURRENCY: '8',
  },
})

type Request = Record<string, unknown>
const submit = (steps: unknown[], more: Request = {}): Promise<Execution> =>
  service.submit({ prompt: scripted(...steps), ...more })
const run = async (steps: unknown[], more: Request = {}): Promise<Execution> =>
  service.finished((await submit(steps, more)).id)
const bash = (command: string): unknown => ({ tool: 'Bash', input: { command } })
const control = async (name: 'cancel' | 'pause' | 'resume', { id }: Execution) =>
  service.call('POST', `/executions/${id}/${name}`)

async function eventsOf<Type extends EventType>({ id }: Execution, type: Type): Promise<Array<Event<Type>>> {
  // Safe: filtered by the type.
  return (await service.events(id)).filter((event) => event.type === type) as Array<Event<Type>>
}

/** Per message the text since its last reset. */
function textsOf(events: readonly Event[]): string[] {
  const texts: string[] = []
  for (const event of events) {
    const { message, text = '' } = event.data as { message: number; text?: string }
    if (event.type === 'text.reset') texts[message] = ''
    if (event.type === 'text.delta') texts[message] = (texts[message] ?? '') + text
  }
  return texts
}

/** What tools answered, as the CLI passed it on. */
async function toolResults(execution: Execution): Promise<string> {
  const messages = (await eventsOf(execution, 'claude.message')).map(({ data }) => data.message)
  return messages
    .filter(({ type }) => type === 'user')
    .map((message) => JSON.stringify(message))
    .join('\n')
}

async function makeWorkspace(name: string, files: Record<string, string>): Promise<string> {
  const folder = join(service.config.workspaceRoot, name)
  await mkdir(folder, { recursive: true })
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text)
  return folder
}

const readCommandLine = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
/** Processes of the whole machine whose command line holds the text, with their state. */
function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid) && readCommandLine(name).includes(text))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
        return [stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '']
      } catch {
        return []
      }
    })
}
async function untilProcesses(text: string, isWanted: (states: string[]) => boolean): Promise<string[]> {
  let states: string[] = []
  await until(() => isWanted((states = processesWith(text))), `processes with ${text}`)
  return states
}

/** Four ways of leaving a tool's process group and session behind; the number tells whose they are. */
const daemons = (number: string): string => `
setsid nohup sleep ${number} >/dev/null 2>&1 &
( ( sleep ${number} >/dev/null 2>&1 & ) & )
env -i setsid sleep ${number} >/dev/null 2>&1 &
( trap '' TERM HUP INT; exec -a disguised-${number} bash -c 'trap "" TERM; while :; do read -t 3600 < <(:) || :; done' ) >/dev/null 2>&1 &
echo started
`
const NUMBERS = { normal: '86401.17', cancelled: '86402.17', timedOut: '86403.17', paused: '86404.17' }
for (const [name, number] of Object.entries(NUMBERS))
  await makeWorkspace(name, { 'daemons.sh': daemons(number), 'stay.sh': `exec sleep ${number}\n` })
const withDaemons = (name: keyof typeof NUMBERS, then: unknown[], more: Request = {}): Promise<Execution> =>
  submit([{ text: `partial ${name}` }, bash('bash daemons.sh'), ...then], {
    workspace: name,
    allowedTools: ['Bash'],
    ...more,
  })

// These take seconds by their nature: they go on while the others are tested.
const timedOut = withLongerClocks(12, async (timeoutSeconds) => {
  const { id } = await withDaemons('timedOut', [bash('bash stay.sh')], { timeoutSeconds })
  const execution = await service.finished(id)
  return (await eventsOf(execution, 'tool.started')).length === 2 ? execution : undefined
})
const silent = withLongerClocks(8, async (idleTimeoutSeconds) => {
  const { id } = await submit([{ text: 'said before the silence' }, FOR_EVER], { idleTimeoutSeconds })
  const execution = await service.finished(id)
  return (await eventsOf(execution, 'text.delta')).length > 0 ? execution : undefined
})
// Whoever awaits it later is told.
for (const scene of [timedOut, silent]) scene.catch(() => undefined)
const afterDaemons = await withDaemons('normal', [{ text: 'done' }])

void t.test('a run edits its workspace by default, and its text is the sum of its deltas', async (t) => {
  const execution = await run([
    { text: 'I write ', chunks: 3 },
    { tool: 'Write', input: { file_path: '${cwd}/note.txt', content: 'hé 🙂' } },
    { text: 'Written: é 🙂, and that is all.', chunks: 9 },
  ])
  t.match(execution, {
    status: 'succeeded',
    attempt: 1,
    simulated: true,
    outcome: { result: 'Written: é 🙂, and that is all.', exitCode: 0 },
    usage: { turns: 2 },
  })
  t.equal(await readFile(join(service.config.workspaceRoot, execution.id, 'note.txt'), 'utf8'), 'hé 🙂')
  const events = await service.events(execution.id)
  t.same(
    events.map(({ seq }) => seq),
    events.map((_event, index) => index + 1),
  )
  t.same(textsOf(events), ['I write ', execution.outcome?.result])
  t.match(
    events.filter(({ type }) => type.startsWith('tool.')),
    [
      { type: 'tool.started', data: { name: 'Write' } },
      { type: 'tool.finished', data: { name: 'Write', isError: false } },
    ],
  )
  t.equal(events.filter(({ type }) => type === 'execution.finished').length, 1)
  t.equal(execution.lastSeq, events.length)
  const headers = { accept: 'text/plain' }
  t.equal(
    (await service.call('GET', `/executions/${execution.id}/result`, { headers })).text,
    execution.outcome?.result,
  )
})

void t.test('a denied tool is told with the setting that allows it, which does allow it', async (t) => {
  const steps = [bash('node -p 6*7'), { text: 'finished' }]
  const reported = await run(steps)
  t.match(reported, {
    status: 'succeeded',
    outcome: { permissionDenials: [{ tool: 'Bash', input: /node -p/, allowWith: /^allowedTools: / }] },
  })
  const [denial] = await eventsOf(reported, 'tool.denied')
  t.same(denial?.data, reported.outcome?.permissionDenials?.[0])
  const allowedTools: unknown = JSON.parse(denial?.data.allowWith.replace('allowedTools: ', '') ?? '')
  const allowed = await run(steps, { allowedTools, onPermissionDenied: 'fail' })
  t.match(allowed, { status: 'succeeded' })
  t.same(allowed.outcome?.permissionDenials, undefined)
  t.match(await eventsOf(allowed, 'tool.finished'), [{ data: { name: 'Bash', isError: false } }])
  t.match(await toolResults(allowed), /"content":"42/)
})

// What stays fails with its own code and status: retry.test.ts.
void t.test('a refusal that passes is asked again; a stream that is cut starts its message anew', async (t) => {
  const [retried, execution] = await Promise.all([
    run([{ status: 429, times: 2 }, { text: 'after two refusals' }]),
    run([{ text: 'one two three four', chunks: 4, delayMs: 20 }, { cut: true }]),
  ])
  t.match(retried, { status: 'succeeded', outcome: { result: 'after two refusals' } })
  const events = await service.events(execution.id)
  t.equal(events.filter(({ type }) => type === 'text.reset').length, 1)
  t.match(execution, { status: 'succeeded', outcome: { result: /^one two three four/ } })
  t.equal(textsOf(events).at(-1), execution.outcome?.result)
})

void t.test('an answer of 5 MiB arrives whole, also at a reader that pauses', async (t) => {
  const bytes = 5 * 1024 * 1024
  const execution = await submit([{ repeatText: 'abcdefghi ', bytes, chunkBytes: 20_000 }])
  const response = await fetch(`${service.url()}/executions/${execution.id}/events?types=text.delta,text.reset`, {
    headers: { accept: 'text/event-stream' },
  })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = (await reader?.read())?.value ?? ''
  // From here on nothing is read until it is over.
  const { outcome } = await service.finished(execution.id)
  t.equal(outcome?.result?.length, bytes)
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) text += part.value
  const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as Event)
  t.ok(textsOf(events).join('') === outcome?.result, 'the deltas are the answer')
  const headers = { accept: 'text/plain' }
  t.ok((await service.call('GET', `/executions/${execution.id}/result`, { headers })).text === outcome?.result)
})

void t.test(
  'a run sees neither the service’s secrets in its environment nor its token file nor its other folders',
  async (t) => {
    const tokenFile = join(service.config.dataDir, 'token')
    await writeFile(tokenFile, SECRET)
    const folder = await makeWorkspace('curious', {
      'peek.sh':
        `cat ${tokenFile}; ls ${service.config.dataDir} ${service.config.dataDir}/sessions; cat ` +
        `/proc/*/environ | tr '\\0' '\\n' | grep -a -e ${SECRET.slice(0, 9)} -e REDIS_URL; echo looked\n`,
    })
    const execution = await run([bash('env'), bash('bash peek.sh'), { text: 'seen' }], {
      workspace: 'curious',
      allowedTools: ['Bash'],
    })
    t.match(execution, { status: 'succeeded' })
    const seen = await toolResults(execution)
    t.match(seen, /looked/)
    t.match(seen, /ANTHROPIC_BASE_URL=/)
    t.notMatch(seen, SECRET)
    t.notMatch(seen, 'REDIS_URL')
    t.same(
      [...new Set(seen.match(/CC_EXECUTOR_\w+/g))].filter((name) => name !== 'CC_EXECUTOR_ATTEMPT'),
      [],
    )
    t.notMatch(seen, afterDaemons.id, 'no other execution’s folder')
    t.match(seen, new RegExp(`PWD=${folder}`))
  },
)

void t.test(
  'a cancel ends a running one, whoever it has left behind; the second and the late one change nothing',
  async (t) => {
    const execution = await withDaemons('cancelled', [bash('bash stay.sh')])
    t.ok(
      (await untilProcesses(`sleep ${NUMBERS.cancelled}`, (states) => states.length >= 4)).length >= 4,
      'the daemons and the tool are there',
    )
    // Nothing waits for it to be what it says that it is.
    await untilProcesses(`disguised-${NUMBERS.cancelled}`, (states) => states.length > 0)
    const answers = await Promise.all([control('cancel', execution), control('cancel', execution)])
    t.same(
      answers.map(({ status }) => status),
      [202, 202],
    )
    const ended = await service.finished(execution.id)
    t.same(processesWith(NUMBERS.cancelled), [], 'nothing is left at the moment of its end')
    t.match(ended, {
      status: 'cancelled',
      outcome: { code: 'CANCELLED', result: /partial cancelled/, isPartial: true },
    })
    const late = await control('cancel', execution)
    t.equal(late.status, 200)
    t.same(late.body, ended)
    const types = (await service.events(execution.id)).map(({ type }) => type)
    t.same(
      types.filter((type) => type === 'execution.cancel_requested' || type === 'execution.finished'),
      ['execution.cancel_requested', 'execution.finished'],
    )
  },
)

void t.test(
  'a pause stops every process of a run, a resume lets it go on, and a paused one can be cancelled',
  async (t) => {
    const stopped = (states: string[]): boolean => states.length >= 4 && states.every((state) => state === 'T')
    const execution = await withDaemons('paused', [bash('bash stay.sh')])
    await untilProcesses(`sleep ${NUMBERS.paused}`, (states) => states.length >= 4)
    t.equal((await control('pause', execution)).status, 202)
    await service.until(execution.id, 'execution.paused')
    t.match((await service.call('GET', `/executions/${execution.id}`)).body, { status: 'paused' })
    t.match((await service.call('GET', '/queue')).body, { paused: 1 })
    t.ok(stopped(processesWith(`sleep ${NUMBERS.paused}`)))
    t.equal((await control('pause', execution)).status, 202, 'twice is once')
    t.equal((await control('resume', execution)).status, 202)
    await service.until(execution.id, 'execution.resumed')
    t.match((await service.call('GET', `/executions/${execution.id}`)).body, { status: 'running' })
    t.ok(
      (await untilProcesses(`sleep ${NUMBERS.paused}`, (states) => states.every((state) => state === 'S'))).every(
        (state) => state === 'S',
      ),
    )
    await control('pause', execution)
    const { seq } = await service.until(execution.id, 'execution.resumed')
    const pauses = `/executions/${execution.id}/events?after=${seq}&types=execution.paused&waitSeconds=30`
    await until(async () => (await service.call('GET', pauses)).body.events.length > 0, 'it is paused again')
    await control('cancel', execution)
    t.match(await service.finished(execution.id), { status: 'cancelled', outcome: { code: 'CANCELLED' } })
    t.same(processesWith(NUMBERS.paused), [])
    t.equal((await eventsOf(execution, 'execution.paused')).length, 2)
    t.equal((await control('resume', execution)).body.code, 'ALREADY_FINISHED')
  },
)

void t.test('a run that ends by itself leaves nothing behind either', async (t) => {
  t.match(await service.finished(afterDaemons.id), { status: 'succeeded', outcome: { result: 'done' } })
  t.match(await toolResults(afterDaemons), /started/)
  t.same(processesWith(NUMBERS.normal), [])
})

void t.test('the idle timeout ends a silent run with its own code and keeps what was said', async (t) => {
  t.match(await silent, {
    status: 'timed_out',
    outcome: {
      code: 'IDLE_TIMEOUT',
      result: 'said before the silence',
      isPartial: true,
      message: /idleTimeoutSeconds/,
    },
  })
})

void t.test('the total timeout is timed_out, keeps what was said, and ends the whole tree', async (t) => {
  const execution = await timedOut
  t.match(execution, {
    status: 'timed_out',
    outcome: { code: 'TIMED_OUT', result: 'partial timedOut', isPartial: true, message: /timeoutSeconds/ },
  })
  t.match(await toolResults(execution), /started/)
  t.same(processesWith(NUMBERS.timedOut), [])
})
