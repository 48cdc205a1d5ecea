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
const SHORT = { rest: 200, rpc: 100 }
const runs = runsText === undefined ? (all === '1' ? LONG : SHORT) : { rest: Number(runsText), rpc: Number(runsText) }
const seed = seedText === undefined ? randomInt(2 ** 31) : Number(seedText)
/** Connections at once, each with a seed of its own. */
const LANES = 4
/** Inputs that a lane spends on making a counterexample small. */
const SHRINKS = 150
/** Without one answer in this time it ends; with answers it takes as long as the machine needs. */
const STALL_MS = 240_000
const PROGRESS_MS = 1_000

/** Everything that has a limit of its own, but not what a battery would only run into. */
const SETTINGS = {
  CC_EXECUTOR_CONCURRENCY: '1',
  CC_EXECUTOR_MAX_QUEUE: '100000',
  CC_EXECUTOR_RETENTION_COUNT: '100000',
}

/** What a long input repeats is not repeated, so that the error behind it is seen. */
const shorten = (text: string): string =>
  text.replaceAll(/(.)\1{40,}/g, (run, character: string) => `${character}…(${run.length} times)`).slice(0, 4_000)

let lastProgress = 0
/** Puts the end of the file off. tap also fails what has passed, but took longer in all than it was last given. */
function progress(): void {
  const now = performance.now()
  if (now - lastProgress < PROGRESS_MS) return
  lastProgress = now
  t.setTimeout(now + STALL_MS)
}

/** A property in lanes; a failure is told with its seed, its path and the smallest input that shows it. */
async function battery<Input>(
  test: Test,
  count: number,
  inputs: Arbitrary<Input>,
  openLane: () => { run(input: Input): Promise<void>; close(): void },
): Promise<void> {
  test.comment(`${count} inputs, CC_EXECUTOR_FUZZ_SEED=${seed}`)
  const perLane = Math.ceil(count / LANES)
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      const { run, close } = openLane()
      let [tried, shrunk, failed] = [0, 0, false]
      const details = await fc.check(
        fc.asyncProperty(inputs, async (input) => {
          // Enough is enough: what is not tried any more does not count as smaller.
          if (failed && (shrunk += 1) > SHRINKS) return
          tried += 1
          try {
            await run(input)
          } catch (error) {
            failed = true
            throw error
          } finally {
            progress()
          }
        }),
        { seed: seed + lane, numRuns: perLane },
      )
      close()
      const told = details.failed ? shorten(fc.defaultReportMessage(details) ?? '') : ''
      test.ok(failed || tried === perLane, `lane ${lane}: ${tried} of ${perLane} inputs were tried`)
      test.notOk(details.failed, `lane ${lane}: CC_EXECUTOR_FUZZ_SEED=${seed}${told === '' ? '' : `\n${told}`}`)
    }),
  )
}

void t.test(
  'a service answers whatever is sent as its documents say, lives on, and nothing is stuck',
  { timeout: 0 },
  async (t) => {
    const { url, folder } = await startWhole(t, [process.execPath, CLI, 'start', '--simulate'], '/', SETTINGS)
    const scene = await openFuzzScene(url)
    const leaks = [folder]

    await t.test('over REST', { timeout: 0 }, async (t) => {
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

    await t.test('over JSON-RPC', { timeout: 0 }, async (t) => {
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

    await t.test('afterwards', { timeout: 0 }, async () => {
      await scene.settle(progress)
    })
  },
)
