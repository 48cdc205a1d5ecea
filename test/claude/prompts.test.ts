// What is asked for reaches the model, in a new session, a resumed one and a copy; with the real CLI.
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { ClaudeSettings } from '../../src/claude/command/claude-command.js'
import type { ExecuteRequest } from '../../src/protocol/execute-request.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { makeCliPlace, runCli, skip } from '../support/real-cli.js'

const schema = { type: 'object', properties: { a: { type: 'string' } } }
type Asked = { request: Partial<ExecuteRequest>; settings?: Partial<ClaudeSettings> }
const KINDS: Record<string, (word: string) => Asked> = {
  appendSystemPrompt: (word) => ({ request: { appendSystemPrompt: word } }),
  systemPrompt: (word) => ({ request: { systemPrompt: word } }),
  "JSON mode's instruction": (word) => ({ request: {}, settings: { answer: { schema, instruction: word } } }),
}
const NAMES = Object.keys(KINDS)

/** All of them at once in `npm test`, and each by itself in test:all: every look is three starts of the CLI. */
const ASKED = [NAMES, ...(process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? NAMES.map((name) => [name]) : [])]

for (const names of ASKED) {
  const ask = (word: string): Asked => {
    const all = names.flatMap((name) => KINDS[name]?.(`${word} of ${name}`) ?? [])
    return {
      request: Object.assign({}, ...all.map(({ request }) => request)),
      settings: Object.assign({}, ...all.map(({ settings }) => settings)),
    }
  }
  const wordsOf = (word: string): string[] => names.map((name) => `${word} of ${name}`)
  void t.test(`${names.join(', ')}: what is asked reaches the model in every session`, { skip }, async (t) => {
    const simulator = await openSimulator()
    t.teardown(() => simulator.close())
    const place = await makeCliPlace(t)
    const sessionId = randomUUID()
    const run = async (word: string, session: Partial<ClaudeSettings>): Promise<string> => {
      const { request, settings } = ask(word)
      const before = simulator.requests.length
      await runCli(t, simulator, { prompt: 'hello', ...request }, { place, settings: { ...settings, ...session } })
      const [first] = simulator.requests.slice(before).filter(({ method }) => method === 'POST')
      return first?.system?.join('\n') ?? ''
    }
    const fresh = await run('the first words', { sessionId })
    for (const words of wordsOf('the first words')) t.match(fresh, words)
    const resumed = await run('the second words', { sessionId, resume: sessionId })
    for (const words of wordsOf('the second words')) t.match(resumed, words)
    t.notMatch(resumed, 'the first words')
    const forked = await run('the third words', { sessionId: randomUUID(), resume: sessionId })
    for (const words of wordsOf('the third words')) t.match(forked, words)
    t.notMatch(forked, /the (?:first|second) words/)
  })
}
