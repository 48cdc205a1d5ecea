// Sessions that go on: resumed, forked, and what they cost.
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { readTranscript } from '../../src/claude/stream/transcript.js'
import { behaviourOf, isMeasured } from '../../src/claude/behaviour.js'
import { measureBehaviour } from '../../src/main/self-check/measure-behaviour.js'
import { holds, YES, type Fact } from './fact.js'
import { busy, working, type Ended, type Running, type Scene } from './scene.js'
import { until } from '../support/deadlines.js'

const FIRST = [{ usage: { inputTokens: 100_000, outputTokens: 1 } }, { text: 'I know the bird.' }]
const SECOND = [{ usage: { inputTokens: 1, outputTokens: 1 } }, { text: 'Resumed.' }]

type Again = { fork?: true; appendSystemPrompt?: string; args?: readonly string[] }

const begin = ({ run }: Scene): Promise<Ended> =>
  run({ steps: FIRST, request: { appendSystemPrompt: 'the first words' } })
const goOn = ({ run }: Scene, first: Ended, again: Again = {}): Promise<Ended> =>
  run({
    folders: first.folders,
    steps: SECOND,
    request: { appendSystemPrompt: again.appendSystemPrompt ?? 'the first words' },
    settings: { sessionId: again.fork ? randomUUID() : first.sessionId, resume: first.sessionId },
    args: again.args ?? [],
  })

/** A session, a fork of it, and the same one gone on with twice: as it was, and with another appended prompt. */
const conversation = (scene: Scene) =>
  scene.once('conversation', async () => {
    const first = await begin(scene)
    const forked = await goOn(scene, first, { fork: true })
    const transcript = await readTranscript(join(first.folders.home, '.claude'), first.sessionId)
    const resumed = await goOn(scene, first)
    const appendSystemPrompt = 'the second words'
    const snapshotOff = await goOn(scene, first, { appendSystemPrompt, args: ['--system-prompt-snapshot=off'] })
    return { first, forked, answersAfterFork: transcript?.answers.size, resumed, snapshotOff }
  })

async function untilWritten({ folders, sessionId }: Running): Promise<void> {
  await until(
    async () => ((await readTranscript(join(folders.home, '.claude'), sessionId))?.answers.size ?? 0) > 0,
    'the transcript has the call',
  )
}

const costOf = (ended: Ended): number => Number(ended.results.at(-1)?.['total_cost_usd'])
const wordsReach = (ended: Ended): boolean =>
  ended.requests.at(-1)?.system?.some((text) => text.includes('the second words')) ?? false

export const sessionFacts: readonly Fact[] = [
  {
    name: '--resume keeps the id and what was said',
    for: 'sessions, retries, onWorkerLost: continue',
    short: true,
    known: YES,
    async look(scene) {
      const { first, resumed: second } = await conversation(scene)
      return holds(
        second.results[0]?.['session_id'] === first.sessionId &&
          (second.requests.at(-1)?.said?.some((text) => text.includes('I know the bird.')) ?? false),
        second.results[0] ?? second.stderr,
      )
    },
  },
  {
    name: '--fork-session with --session-id: its own id, what was said, the first one untouched',
    for: 'session.fork',
    short: true,
    known: YES,
    async look(scene) {
      const { first, forked: second, answersAfterFork } = await conversation(scene)
      return holds(
        second.results[0]?.['session_id'] === second.sessionId &&
          second.sessionId !== first.sessionId &&
          (second.requests.at(-1)?.said?.some((text) => text.includes('I know the bird.')) ?? false) &&
          answersAfterFork === 1,
        second.results[0] ?? second.stderr,
      )
    },
  },
  {
    name: 'total_cost_usd after --resume',
    for: 'usage, budgets',
    short: true,
    known: ['own', 'conversation'],
    async look(scene) {
      const { first, resumed: second } = await conversation(scene)
      return costOf(second) < costOf(first) / 2 ? 'own' : 'conversation'
    },
  },
  {
    name: 'total_cost_usd after --fork-session',
    for: 'usage, budgets',
    known: ['own', 'conversation'],
    async look(scene) {
      const { first, forked: second } = await conversation(scene)
      return costOf(second) < costOf(first) / 2 ? 'own' : 'conversation'
    },
  },
  {
    name: 'another appended prompt after --resume',
    for: 'what is asked for reaches the model',
    known: ['reaches the model', 'ignored'],
    look: async (scene) => {
      const second = await goOn(scene, await begin(scene), { appendSystemPrompt: 'the second words' })
      return wordsReach(second) ? 'reaches the model' : 'ignored'
    },
  },
  {
    name: 'the same with --system-prompt-snapshot=off',
    for: 'knowsPromptSnapshot',
    short: true,
    known: ['reaches the model', 'unknown option'],
    look: async (scene) => {
      const { snapshotOff: second } = await conversation(scene)
      if (second.exitCode !== 0)
        return /unknown option/.test(second.stderr)
          ? 'unknown option'
          : `exit ${second.exitCode}: ${second.stderr.slice(0, 200)}`
      return wordsReach(second) ? 'reaches the model' : 'ignored'
    },
  },
  {
    name: '--session-id of a session that is there: refused, exit 1',
    for: 'no session is overwritten',
    known: YES,
    async look({ run }) {
      const first = await run({ steps: FIRST })
      const second = await run({ folders: first.folders, steps: SECOND, settings: { sessionId: first.sessionId } })
      return holds(second.exitCode === 1 && second.results.length === 0, {
        exitCode: second.exitCode,
        result: second.results[0],
      })
    },
  },
  {
    name: '--resume of a session that is not there: exit 1 or a result that is an error',
    for: 'SESSION_NOT_FOUND',
    known: YES,
    async look({ run }) {
      const sessionId = randomUUID()
      const { exitCode, results } = await run({ steps: SECOND, settings: { sessionId, resume: sessionId } })
      return holds(exitCode === 1 && results.every((result) => result['is_error'] === true), { exitCode, results })
    },
  },
  {
    name: 'the transcript is where it is looked for, with answers and tool results',
    for: 'transcript.ts: retries, GET /sessions',
    short: true,
    known: YES,
    async look(scene) {
      const { folders, sessionId } = await working(scene)
      const transcript = await readTranscript(join(folders.home, '.claude'), sessionId)
      return holds(
        transcript?.hasMessage === true && transcript.toolResults.size === 1 && transcript.answers.size === 2,
        { answers: transcript?.answers.size, results: transcript?.toolResults.size },
      )
    },
  },
  {
    name: 'a session is resumed after SIGKILL in mid-tool; the open call is dropped or told as interrupted',
    for: 'onWorkerLost: continue',
    known: YES,
    async look({ start, run }) {
      const running = await start({
        steps: [{ text: 'I begin.' }, busy(100), { text: 'x' }],
        request: { allowedTools: ['Bash'] },
      })
      await running.until(({ type, message }) => type === 'assistant' && JSON.stringify(message).includes('tool_use'))
      // The transcript is written a moment after the line on standard output (2.1.332; killed at once it knows of no
      // conversation).
      await untilWritten(running)
      running.kill('SIGKILL')
      const { folders, sessionId } = await running.ended
      const resumed = await run({ folders, steps: SECOND, settings: { sessionId, resume: sessionId } })
      return holds(resumed.results[0]?.['is_error'] === false, resumed.results[0] ?? resumed.stderr)
    },
  },
  {
    name: 'the self-check finds what is known of this version, and no problem',
    for: 'src/main/self-check',
    short: true,
    known: YES,
    async look({ binary, version, newFolders }) {
      const { home } = await newFolders()
      const { behaviour, problems } = await measureBehaviour(binary, {
        environment: process.env,
        folder: home,
        signal: new AbortController().signal,
      })
      const expected = isMeasured(version) ? behaviourOf(version) : behaviour
      return holds(problems.length === 0 && isDeepStrictEqual(behaviour, expected), { behaviour, problems })
    },
  },
]
