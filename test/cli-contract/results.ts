// How a run ends, and what it says of it.
import { classifyExit } from '../../src/claude/stream/classify-exit.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { holds, YES, type Fact } from './fact.js'
import { plain, type Ended } from './scene.js'
import { observe } from './talk.js'

const ONE_REQUEST = { CLAUDE_CODE_MAX_RETRIES: '0' }
const codeOf = (ended: Ended) =>
  classifyExit({
    observation: observe(ended),
    exit: ended,
    stderrTail: ended.stderr,
    run: toRunRequest({ prompt: 'x' }),
  })
const bash = (command: string): object => ({ tool: 'Bash', input: { command, description: 'x' } })

const failure = (status: number, code: string, short?: true): Fact => ({
  name: `an API error ${status} is told as ${code}`,
  for: 'classify-exit.ts',
  ...(short && { short }),
  known: YES,
  async look({ run }) {
    const outcome = codeOf(await run({ steps: [{ status, times: 'always' }, { text: 'x' }], env: ONE_REQUEST }))
    return holds(outcome.code === code && outcome.apiStatus === status, outcome)
  },
})

export const resultFacts: readonly Fact[] = [
  failure(401, 'CLAUDE_NOT_AUTHENTICATED', true),
  failure(429, 'CLAUDE_RATE_LIMITED', true),
  failure(529, 'CLAUDE_OVERLOADED'),
  failure(500, 'CLAUDE_EXITED'),
  {
    name: 'a refusal for its age is told in the API’s words',
    for: 'CLAUDE_TOO_OLD, requiredVersion',
    short: true,
    known: YES,
    async look({ run }) {
      const outcome = codeOf(
        await run({ steps: [{ status: 400, minimumVersion: '9.0.0' }, { text: 'x' }], env: ONE_REQUEST }),
      )
      return holds(outcome.code === 'CLAUDE_TOO_OLD' && outcome.requiredVersion === '9.0.0', outcome)
    },
  },
  {
    name: 'it names its version to the API',
    for: 'the API’s and the simulator’s version gate',
    short: true,
    known: YES,
    async look({ run, version }) {
      const { requests, results } = await run({
        steps: [{ status: 400, minimumVersion: version }, { text: 'new enough' }],
      })
      return holds(
        results[0]?.['result'] === 'new enough' && requests.at(-1)?.clientVersion === version,
        requests.at(-1)?.clientVersion,
      )
    },
  },
  {
    name: 'CLAUDE_CODE_MAX_RETRIES=0: one request for a 500',
    for: 'the queue owns the waiting',
    known: YES,
    async look({ run }) {
      const { requests } = await run({ steps: [{ status: 500, times: 'always' }, { text: 'x' }], env: ONE_REQUEST })
      const posts = requests.filter(({ method }) => method === 'POST').length
      return holds(posts === 1, `${posts} requests`)
    },
  },
  {
    name: 'a retry is told by system/api_retry',
    for: 'events show that it waits',
    known: YES,
    async look({ run }) {
      const { lines } = await run({
        steps: [{ status: 529, times: 1 }, { text: 'x' }],
        env: { CLAUDE_CODE_MAX_RETRIES: '2' },
      })
      return holds(
        lines.some(({ subtype }) => subtype === 'api_retry'),
        lines.map(({ type, subtype }) => `${String(type)}/${String(subtype)}`),
      )
    },
  },
  {
    name: 'a cut in mid-text: the answer is the second one, whole',
    for: 'text-stream.ts, text.reset',
    known: YES,
    async look({ run }) {
      const { results } = await run({ steps: [{ text: 'The answer' }, { cut: true }] })
      return holds(results[0]?.['result'] === 'The answer', results[0])
    },
  },
  {
    name: '--max-turns: error_max_turns',
    for: 'MAX_TURNS',
    short: true,
    known: YES,
    async look({ run }) {
      const ended = await run({ steps: [bash('echo 1'), bash('echo 2'), { text: 'x' }], request: { maxTurns: 1 } })
      return holds(codeOf(ended).code === 'MAX_TURNS', ended.results[0])
    },
  },
  {
    name: '--max-budget-usd: error_max_budget_usd',
    for: 'BUDGET_EXCEEDED',
    known: YES,
    async look({ run }) {
      const ended = await run({
        steps: [
          { usage: { inputTokens: 500_000, outputTokens: 9 } },
          bash('echo 1'),
          { text: 'x' },
          { usage: { inputTokens: 500_000 } },
        ],
        request: { maxBudgetUsd: 0.01 },
      })
      return holds(codeOf(ended).code === 'BUDGET_EXCEEDED', ended.results[0])
    },
  },
  {
    name: 'tokens and dollars stand in usage, modelUsage and total_cost_usd',
    for: 'observation.ts, GET /usage',
    short: true,
    known: YES,
    async look(scene) {
      const ended = await plain(scene)
      const { usage } = observe(ended)
      return holds(
        usage.inputTokens === 1_000 &&
          usage.outputTokens === 200 &&
          usage.costUsd > 0 &&
          ended.results[0]?.['modelUsage'] !== undefined,
        ended.results[0],
      )
    },
  },
  {
    name: '--json-schema: the object is in structured_output',
    for: 'JSON mode',
    short: true,
    known: YES,
    async look({ run }) {
      const schema = { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] }
      const { results } = await run({
        steps: [{ structured: { a: 1 } }, { text: 'done' }],
        settings: { answer: { schema } },
      })
      return holds(JSON.stringify(results[0]?.['structured_output']) === '{"a":1}', results[0])
    },
  },
  {
    name: 'a schema that names draft 2020-12 in $schema',
    for: 'it is stripped from what the CLI gets',
    known: ['refused', 'no tool for it', 'taken'],
    async look({ run }) {
      const schema = {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        properties: { a: { type: 'number' } },
        required: ['a'],
      }
      const { results, exitCode } = await run({
        steps: [{ structured: { a: 1 } }, { text: 'done' }],
        settings: { answer: { schema } },
      })
      if (results.length === 0) return exitCode === 1 ? 'refused' : `exit ${exitCode}`
      return JSON.stringify(results[0]?.['structured_output']) === '{"a":1}' ? 'taken' : 'no tool for it'
    },
  },
  {
    name: 'the model’s stop reason is in the result',
    for: 'outcome.stopReason, ANSWER_INCOMPLETE, REFUSED',
    known: YES,
    async look(scene) {
      const { results } = await plain(scene)
      return holds(results[0]?.['stop_reason'] === 'end_turn', results[0])
    },
  },
]
