// What is asked for reaches the model, in a new session, a resumed one and a copy; with the real CLI.
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { ClaudeSettings } from '../../src/claude/command/claude-command.js'
import type { ExecuteRequest } from '../../src/protocol/execute-request.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { makeCliPlace, runCli, skip } from '../support/real-cli.js'

const schema = { type: 'object', properties: { a: { type: 'string' } } }
const KINDS: Record<
  string,
  (word: string) => { request: Partial<ExecuteRequest>; settings?: Partial<ClaudeSettings> }
> = {
  appendSystemPrompt: (word) => ({ request: { appendSystemPrompt: word } }),
  systemPrompt: (word) => ({ request: { systemPrompt: word } }),
  "JSON mode's instruction": (word) => ({ request: {}, settings: { answer: { schema, instruction: word } } }),
}

for (const [kind, ask] of Object.entries(KINDS)) {
  void t.test(`${kind} reaches the model whatever the session had before`, { skip }, async (t) => {
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
    t.match(await run('the first words', { sessionId }), 'the first words')
    const resumed = await run('the second words', { sessionId, resume: sessionId })
    t.match(resumed, 'the second words')
    t.notMatch(resumed, 'the first words')
    const forked = await run('the third words', { sessionId: randomUUID(), resume: sessionId })
    t.match(forked, 'the third words')
    t.notMatch(forked, /the (?:first|second) words/)
  })
}
