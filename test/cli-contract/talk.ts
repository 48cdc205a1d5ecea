// How the CLI is spoken to and what its stream says.
import { randomUUID } from 'node:crypto'
import { access, readdir, readFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { createLineSplitter } from '../../src/claude/stream/line-splitter.js'
import { probeClaude } from '../../src/claude/install/find-claude.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { toCancelLine, toMessageLine } from '../../src/claude/command/claude-command.js'
import { readTranscript } from '../../src/claude/stream/transcript.js'
import { createTranslator } from '../../src/claude/stream/translate-message.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { holds, YES, type Fact } from './fact.js'
import { flagged, FLAGS, HEADERS, PROMPT } from './flagged.js'
import { busy, isResult, isSystem, plain, script, type Ended, type Line, type Scene } from './scene.js'

const INTERRUPT = { type: 'control_request', request_id: 'stop', request: { subtype: 'interrupt' } }
const textOf = (result: Line | undefined): unknown => result?.['result']

/** What the service makes of a run's output. */
export function observe({ texts }: Pick<Ended, 'texts'>): ReturnType<typeof createTranslator>['observation'] {
  const translator = createTranslator(toRunRequest({ prompt: 'x' }))
  const splitter = createLineSplitter({ maxLineBytes: 1 << 24 })
  for (const line of splitter.push(Buffer.from(`${texts.join('\n')}\n`))) translator.translate(line)
  return translator.observation
}

/** A run to which something is said while its tool works. */
const steered = ({ once, start }: Scene) =>
  once('steered', async () => {
    const id = randomUUID()
    const running = await start({ steps: [busy(2), { text: 'done' }], request: { allowedTools: ['Bash'] } })
    await running.until(({ type }) => type === 'assistant')
    running.send(toMessageLine(id, { text: 'And this.' }).trimEnd())
    await running.until(isResult)
    running.closeInput()
    return { id, ended: await running.ended }
  })

export const talkFacts: readonly Fact[] = [
  {
    name: '--version says X.Y.Z (Claude Code), and leaves nothing in HOME',
    for: 'find-claude.ts finds out the version',
    short: true,
    known: YES,
    async look({ binary, version, newFolders }) {
      const { home } = await newFolders()
      const probe = await probeClaude(binary, { ...process.env, HOME: home })
      return holds('version' in probe && probe.version === version && (await readdir(home)).length === 0, probe)
    },
  },
  {
    name: 'system/init comes before any message, result last',
    for: 'observation.ts; the start gate lets the next one start at the first output',
    short: true,
    known: YES,
    async look(scene) {
      const { lines } = await plain(scene)
      const kinds = lines.map(({ type, subtype }) => (type === 'system' ? `system/${String(subtype)}` : String(type)))
      const first = kinds.findIndex((kind) => ['assistant', 'stream_event', 'user'].includes(kind))
      return holds(
        kinds.includes('system/init') && kinds.indexOf('system/init') < first && kinds.at(-1) === 'result',
        kinds,
      )
    },
  },
  {
    name: 'init names session, cwd, model and permission mode',
    for: 'observation.ts; checks session and permissions',
    short: true,
    known: YES,
    async look(scene) {
      const { lines, sessionId, folders } = (await flagged(scene)).ended
      const init = lines.find((line) => isSystem(line, 'init'))
      return holds(
        init?.['session_id'] === sessionId &&
          init['cwd'] === folders.cwd &&
          init['model'] === FLAGS.model &&
          init['permissionMode'] === 'acceptEdits',
        init,
      )
    },
  },
  {
    name: 'model of a run that names none',
    for: 'doctor, banner and /health/ready name it',
    short: true,
    known: /^claude-[\w.[\]-]+$/,
    look: async (scene) => String((await plain(scene)).lines.find((line) => isSystem(line, 'init'))?.['model']),
  },
  {
    name: 'place of "type" in the line of a result',
    for: 'what recognises a result in a line over the limit',
    short: true,
    known: ['first', 'in the middle'],
    look: async (scene) =>
      (await plain(scene)).texts.at(-1)?.startsWith('{"type":"result"') ? 'first' : 'in the middle',
  },
  {
    name: 'standard input held open: it stays after its result, and exits 0 at its end',
    for: 'run-claude.ts sends a follow-up there, and loses nothing of a long answer',
    short: true,
    known: YES,
    async look({ start }) {
      const running = await start({ steps: [{ text: 'one' }] })
      await running.until(isResult)
      running.send({
        type: 'user',
        message: { role: 'user', content: [{ type: 'text', text: script([{ text: 'two' }]) }] },
      })
      await running.until((line) => textOf(line) === 'two')
      running.closeInput()
      const { exitCode, results } = await running.ended
      return holds(exitCode === 0 && results.length === 2, { exitCode, results: results.length })
    },
  },
  {
    name: 'a further line joins the turn behind a tool call, and is repeated with its uuid',
    for: 'message-desk.ts: message.delivered',
    short: true,
    known: YES,
    look: async (scene) => {
      const { id, ended } = await steered(scene)
      const repeated = ended.lines.filter(({ isReplay, uuid }) => isReplay === true && uuid === id)
      return holds(repeated.length === 1 && ended.results.length === 1, ended.texts.slice(-6))
    },
  },
  {
    name: 'the transcript has the uuid of a line that joined, as source_uuid',
    for: 'transcript.ts: a resumed session is not sent it again',
    short: true,
    known: YES,
    look: async (scene) => {
      const { id, ended } = await steered(scene)
      const transcript = await readTranscript(join(ended.folders.home, '.claude'), ended.sessionId)
      return holds(transcript?.lines.has(id) === true, [...(transcript?.lines ?? [])])
    },
  },
  {
    name: 'a line that joined, sent again to the resumed session',
    for: 'message-desk.ts looks for it in the transcript first',
    // The first is what makes the look necessary.
    known: ['runs again', 'is recognised'],
    look: async ({ start, ...scene }) => {
      const { id, ended } = await steered({ start, ...scene })
      const { folders, sessionId } = ended
      const again = await start({ folders, settings: { sessionId, resume: sessionId } })
      again.send(toMessageLine(id, { text: 'say it again' }).trimEnd())
      await again.until(isResult)
      // Its own turn would follow at once.
      await sleep(2_000)
      again.closeInput()
      return (await again.ended).results.length === 2 ? 'runs again' : 'is recognised'
    },
  },
  {
    name: 'a line that is taken back is not run, also by an interrupt',
    for: 'claude-ending.ts: what was not read is dropped',
    known: YES,
    async look({ start }) {
      const running = await start({ steps: [busy(600), { text: 'done' }], request: { allowedTools: ['Bash'] } })
      await running.until(({ type }) => type === 'assistant')
      const id = randomUUID()
      running.send(toMessageLine(id, { text: script([{ text: 'never' }]) }).trimEnd())
      running.send(toCancelLine(id).trimEnd())
      running.send(INTERRUPT)
      await running.until(isResult)
      running.closeInput()
      const { results, lines } = await running.ended
      return holds(results.length === 1 && !lines.some(({ uuid }) => uuid === id), results)
    },
  },
  {
    name: 'end of input without a message: exit 0 and no output',
    for: 'classify-exit.ts takes exit 0 for no success',
    known: YES,
    async look({ run }) {
      const { exitCode, results } = await run({ silent: true })
      return holds(exitCode === 0 && results.length === 0, { exitCode, results })
    },
  },
  {
    name: 'a prompt with our closing block is text: no slash command, no attached file',
    for: 'literalPrompt',
    short: true,
    known: YES,
    async look(scene) {
      const { requests, results } = (await flagged(scene)).ended
      const hostname = (await readFile('/etc/hostname', 'utf8')).trim()
      const said = requests.at(-1)?.said?.filter((text) => text.startsWith('user: ')) ?? []
      return holds(
        said.some((text) => text.includes(PROMPT)) &&
          !said.some((text) => text.includes(`\n${hostname}`) || text.includes('Called the Read tool')) &&
          results.length === 1,
        said,
      )
    },
  },
  {
    name: 'without it a slash command is not sent',
    for: 'literalPrompt: false is worth something',
    known: ['not sent', 'sent as text'],
    async look({ run }) {
      const { requests } = await run({ prompt: '/no-such-command here', request: { literalPrompt: false } })
      return requests.some(({ method }) => method === 'POST') ? 'sent as text' : 'not sent'
    },
  },
  {
    name: 'partial messages: the deltas are the answer',
    for: 'text-stream.ts',
    short: true,
    known: YES,
    async look(scene) {
      const { lines, results } = await plain(scene)
      const deltas = lines
        .flatMap(({ type, event }) => (type === 'stream_event' ? [event as { delta?: { text?: string } }] : []))
        .map(({ delta }) => delta?.text ?? '')
        .join('')
      return holds(deltas === 'Grüße aus dem Strom.' && textOf(results[0]) === deltas, deltas)
    },
  },
  {
    name: 'every flag is taken as --flag=value',
    for: 'claude-command.ts',
    short: true,
    known: YES,
    async look(scene) {
      const { results, stderr } = (await flagged(scene)).ended
      return holds(results[0]?.['is_error'] === false, stderr)
    },
  },
  {
    name: 'the system prompts reach the model',
    for: 'systemPrompt, appendSystemPrompt',
    short: true,
    known: YES,
    async look(scene) {
      const system = (await flagged(scene)).ended.requests.at(-1)?.system?.join('\n') ?? ''
      return holds(system.includes(FLAGS.systemPrompt) && system.includes(FLAGS.appendSystemPrompt), system.slice(-300))
    },
  },
  {
    name: 'values of --mcp-config come from ${…} of the environment, as they are',
    for: 'mcp-config.ts keeps secrets off the command line',
    short: true,
    known: YES,
    async look(scene) {
      const { heard } = await flagged(scene)
      const named = heard.filter((headers) => headers['x-one'] !== undefined)
      const isKept = (headers: IncomingHttpHeaders): boolean =>
        Object.entries(HEADERS).every(([name, value]) => headers[name] === value)
      return holds(named.length > 0 && named.every(isKept), heard)
    },
  },
  {
    name: 'a command in the words of the original is taken',
    for: 'command, /ws/mcp',
    short: true,
    known: YES,
    async look({ run }) {
      const flags = '--output-format stream-json --include-partial-messages --allowedTools Bash'
      const { results, stderr } = await run({ request: { command: `claude -p 'say hello' ${flags}` } })
      return holds(results[0]?.['is_error'] === false, stderr)
    },
  },
  {
    name: 'interrupt while it answers: a result error_during_execution',
    for: 'cancel and timeout keep the session',
    short: true,
    known: YES,
    async look({ start }) {
      const running = await start({ steps: [{ text: 'Half an answer' }, { hangMs: 100_000 }] })
      await running.until(({ type }) => type === 'stream_event')
      running.send(INTERRUPT)
      const result = await running.until(isResult)
      running.closeInput()
      const { exitCode } = await running.ended
      return holds(result['subtype'] === 'error_during_execution' && exitCode !== null, result)
    },
  },
  {
    name: 'interrupt while a tool works: the tool is ended, and a result comes',
    for: 'cancel and timeout',
    known: YES,
    async look({ start }) {
      const running = await start({ steps: [busy(100), { text: 'x' }], request: { allowedTools: ['Bash'] } })
      await running.until(({ type, message }) => type === 'assistant' && JSON.stringify(message).includes('tool_use'))
      // Until the shell is there, nothing is told of it.
      await sleep(1_500)
      running.send(INTERRUPT)
      const result = await running.until(isResult)
      running.closeInput()
      await running.ended
      return holds(result['subtype'] === 'error_during_execution', result)
    },
  },
  {
    name: 'initialize is answered before any request to the model',
    for: 'probe-claude-start.ts, the doctor',
    short: true,
    known: YES,
    async look({ start }) {
      const running = await start({ silent: true })
      running.send({ type: 'control_request', request_id: 'probe', request: { subtype: 'initialize' } })
      const answer = await running.until(({ type }) => type === 'control_response')
      running.closeInput()
      const { requests, exitCode } = await running.ended
      return holds(
        JSON.stringify(answer).includes('"success"') &&
          !requests.some(({ method }) => method === 'POST') &&
          exitCode === 0,
        answer,
      )
    },
  },
  {
    name: 'SIGTERM: exit 143, no result',
    for: 'classify-exit.ts; ending a run',
    known: YES,
    async look({ start }) {
      const running = await start({ steps: [{ text: 'Half' }, { hangMs: 100_000 }] })
      await running.until(({ type }) => type === 'stream_event')
      running.kill('SIGTERM')
      const { exitCode, signal, results } = await running.ended
      return holds((exitCode === 143 || signal === 'SIGTERM') && results.length === 0, {
        exitCode,
        signal,
        results: results.length,
      })
    },
  },
  {
    name: 'an answer of 5 MB to a reader that holds input open is complete',
    for: 'run-claude.ts: nothing is lost at the end',
    known: YES,
    async look({ run }) {
      const { results } = await run({
        steps: [{ repeatText: 'abcdefgh', bytes: 5_000_000 }],
        request: { partialText: false },
      })
      return holds(String(textOf(results[0])).length === 5_000_000, String(textOf(results[0])).length)
    },
  },
  {
    name: 'hooks given by --settings run and are told',
    for: 'the operator’s hooks on Claude’s events',
    known: YES,
    async look({ run, newFolders }) {
      const folders = await newFolders()
      const command = `touch ${join(folders.home, 'hooked')}`
      const { lines } = await run({
        folders,
        steps: [{ tool: 'Bash', input: { command: 'echo 1', description: 'x' } }, { text: 'done' }],
        settings: { hooks: { PreToolUse: [{ matcher: 'Bash', hooks: [{ type: 'command', command }] }] } },
      })
      const ran = await access(join(folders.home, 'hooked')).then(
        () => true,
        () => false,
      )
      return holds(ran && lines.some((line) => isSystem(line, 'hook_response')), { ran })
    },
  },
]
