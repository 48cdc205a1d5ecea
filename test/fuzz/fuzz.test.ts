// Requests and frames that are nearly valid, by the documents that a started service serves. A seed is told, and is set
// by CC_EXECUTOR_FUZZ_SEED; CC_EXECUTOR_FUZZ_RUNS says how many requests there are; what fails is shown shrunk.
import { randomInt } from 'node:crypto'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import * as fc from 'fast-check'
import type { Arbitrary } from 'fast-check'
import t, { type Test } from 'tap'
import { ask } from '../started/scene.js'
import { startWhole, TOKENS } from '../started/started-service.js'
import { CLI } from '../support/paths.js'
import { openValidator } from '../support/validator.js'
import { createRestCheck, openRestClient } from './rest-answers.js'
import { restRequests, type OpenApi } from './rest-requests.js'
import { createRpcCheck, openRpcClient } from './rpc-answers.js'
import { rpcFrames, type OpenRpc } from './rpc-frames.js'
import { openFuzzScene } from './scene.js'

const { CC_EXECUTOR_TEST_ALL: all, CC_EXECUTOR_FUZZ_SEED: seedText, CC_EXECUTOR_FUZZ_RUNS: runsText } = process.env
const LONG = { rest: 6_000, rpc: 3_000 }
const SHORT = { rest: 300, rpc: 150 }
const runs = runsText === undefined ? (all === '1' ? LONG : SHORT) : { rest: Number(runsText), rpc: Number(runsText) }
const seed = seedText === undefined ? randomInt(2 ** 31) : Number(seedText)
/** Connections at once, each with a seed of its own. */
const LANES = 4
/** However slow the machine is. */
const LEAST = 100
/** Of one lane, with what is spent on making a counterexample small. */
const LANE_MS = all === '1' ? 110_000 : 40_000

/** Everything that has a limit of its own, but not what a battery would only run into. */
const SETTINGS = {
  CC_EXECUTOR_CONCURRENCY: '1',
  CC_EXECUTOR_MAX_QUEUE: '100000',
  CC_EXECUTOR_RETENTION_COUNT: '100000',
}

/** What a long input repeats is not repeated, so that the error behind it is seen. */
const shorten = (text: string): string =>
  text.replaceAll(/(.)\1{40,}/g, (run, character: string) => `${character}…(${run.length} times)`).slice(0, 4_000)

/** A property in lanes; a failure is told with its seed, its path and the smallest input that shows it. */
async function battery<Input>(
  test: Test,
  count: number,
  inputs: Arbitrary<Input>,
  openLane: () => { run(input: Input): Promise<void>; close(): void },
): Promise<void> {
  test.comment(`${count} inputs, CC_EXECUTOR_FUZZ_SEED=${seed}`)
  let tried = 0
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      const { run, close } = openLane()
      const details = await fc.check(
        fc.asyncProperty(inputs, (input) => {
          tried += 1
          return run(input)
        }),
        {
          seed: seed + lane,
          numRuns: Math.ceil(count / LANES),
          interruptAfterTimeLimit: LANE_MS,
        },
      )
      close()
      const told = details.failed ? shorten(fc.defaultReportMessage(details) ?? '') : ''
      test.notOk(details.failed, `lane ${lane}: CC_EXECUTOR_FUZZ_SEED=${seed}${told === '' ? '' : `\n${told}`}`)
    }),
  )
  // On a machine that has too much to do the rest is left out, and told.
  if (tried < count) test.comment(`${tried} of ${count} inputs within ${LANE_MS / 1_000} s`)
  test.ok(tried >= Math.min(count, LEAST), `${tried} inputs were tried`)
}

void t.test(
  'a service answers whatever is sent as its documents say, lives on, and nothing is stuck',
  { timeout: 600_000 },
  async (t) => {
    const { url, folder } = await startWhole(t, [process.execPath, CLI, 'start', '--simulate'], '/', SETTINGS)
    const scene = await openFuzzScene(url)
    const leaks = [folder]

    await t.test('over REST', async (t) => {
      const document: OpenApi = (await ask(url, { method: 'GET', path: '/openapi.json', as: null })).body
      const check = createRestCheck(
        document,
        openValidator(new Ajv2020({ strict: false, allErrors: true }), document),
        leaks,
      )
      await battery(t, runs.rest, restRequests(document, scene), () => {
        const { send, close } = openRestClient(url)
        return {
          close,
          async run(request) {
            const answer = await send(request)
            if (answer === undefined) return
            const told = (error: unknown): Error =>
              new Error(
                `${String(error)}: ${answer.status} ${answer.headers['content-type']} ${answer.text?.slice(0, 600)}`,
              )
            try {
              check(request, answer)
            } catch (error) {
              throw told(error)
            }
          },
        }
      })
    })

    await t.test('over JSON-RPC', async (t) => {
      const asker = openRpcClient(url, TOKENS.all)
      const [found = ''] = await asker.send('{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}')
      asker.close()
      const document: OpenRpc = JSON.parse(found).result
      const check = createRpcCheck(
        document,
        openValidator(new Ajv({ strict: false, allErrors: true }), document),
        leaks,
      )
      await battery(t, runs.rpc, rpcFrames(document, scene), () => {
        const { send, close } = openRpcClient(url, TOKENS.all)
        return {
          close,
          async run(frame) {
            const texts = await send(frame)
            try {
              check(frame, texts)
            } catch (error) {
              throw new Error(`${String(error)}: ${texts.join('\n').slice(0, 1_000)}`, { cause: error })
            }
          },
        }
      })
    })

    await t.test('afterwards', async () => {
      await scene.settle()
    })
  },
)
