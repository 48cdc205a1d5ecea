// One request for every answer that openapi.json documents for schedules; see rest-cases.ts.
import { randomUUID } from 'node:crypto'
import type { Make, Parts, RestOperation } from './rest-cases.js'
import { SCHEDULES_LIMIT, type TokenName } from './started-service.js'
import { ask, ENDLESS, NOBODY, OWNED, type Scene } from './scene.js'

type Body = Readonly<Record<string, unknown>>
const UNLISTED = { url: 'https://localhost/not/listed' }
const PATH = '/schedules'
/** It could be there, so the store is asked. */
const NOTHING = `${PATH}/sch_${'0'.repeat(32)}`

/** One that starts nothing by itself. */
const bodyOf = (more: Body = {}): Body => ({
  name: randomUUID(),
  everySeconds: 3_600,
  enabled: false,
  request: { prompt: 'x' },
  ...more,
})
async function made({ url }: Scene, more: Body = {}, as: TokenName = 'all'): Promise<string> {
  const { status, text, body } = await ask(url, { method: 'POST', path: PATH, body: bodyOf(more), as })
  if (status !== 201) throw new Error(text)
  return `${PATH}/${body.id}`
}
/** What was sent before, or something else, with its Idempotency-Key. */
async function twice({ url }: Scene, other: Body = {}): Promise<Parts> {
  const parts = { path: PATH, body: bodyOf(), headers: { 'idempotency-key': randomUUID() } }
  await ask(url, { method: 'POST', ...parts })
  return { ...parts, body: { ...parts.body, ...other } }
}
const one =
  (more: Omit<Parts, 'path'> = {}): Make =>
  async (scene) => ({ path: await made(scene), ...more })
const run =
  (request: (scene: Scene) => Body, as: TokenName = 'all'): Make =>
  async (scene) => ({ path: `${await made(scene, { request: request(scene) }, as)}/run`, as })

const missing = (path = NOTHING, more: Omit<Parts, 'path'> = {}) => ({
  SCHEDULE_NOT_FOUND: { make: (): Parts => ({ path, ...more }) },
})
const rename = { body: { name: 'nothing' } }

async function runTwice(scene: Scene, key: string, prompt: string): Promise<Parts> {
  const { workspace, url } = scene
  const headers = { 'idempotency-key': key }
  const path = `${await made(scene, { request: { prompt: 'walked', workspace } })}/run`
  await ask(url, { method: 'POST', path, headers })
  return prompt === 'walked'
    ? { path, headers }
    : { path: `${await made(scene, { request: { prompt } })}/run`, headers }
}

export const SCHEDULE_OPERATIONS: Readonly<Record<string, RestOperation>> = {
  'post /schedules': {
    base: () => ({ path: PATH, body: bodyOf() }),
    scope: 'execute',
    cases: {
      '201 application/json': { make: () => ({ path: PATH, body: bodyOf() }) },
      '200 application/json': { make: (scene) => twice(scene) },
      IDEMPOTENCY_CONFLICT: { make: (scene) => twice(scene, { everySeconds: 60 }) },
      REPOSITORY_NOT_ALLOWED: {
        make: () => ({ path: PATH, body: bodyOf({ request: { prompt: 'x', repository: UNLISTED } }) }),
      },
      COMMAND_NOT_ALLOWED: { make: () => ({ path: PATH, body: bodyOf({ request: { command: 'rm -rf /' } }) }) },
      NAME_TAKEN: {
        async make(scene) {
          const name = randomUUID()
          await made(scene, { name })
          return { path: PATH, body: bodyOf({ name }) }
        },
      },
      SCHEDULE_NOT_FOUND: {
        async make(scene) {
          const again = await twice(scene)
          const { body } = await ask(scene.url, { method: 'POST', ...again })
          await ask(scene.url, { method: 'DELETE', path: `${PATH}/${body.id}` })
          return again
        },
      },
      RATE_LIMITED: {
        phase: 'full',
        async make(scene) {
          for (let count = 0; count < SCHEDULES_LIMIT; count += 1)
            await made(scene, {}, 'runner').catch(() => undefined)
          return { path: PATH, body: bodyOf(), as: 'runner' }
        },
      },
    },
  },
  'get /schedules': {
    base: () => ({ path: PATH }),
    scope: 'read',
    wrongQuery: 'limit=0',
    cases: { '200 application/json': { make: () => ({ path: PATH }) } },
  },
  'get /schedules/{id}': {
    base: () => ({ path: NOTHING }),
    scope: 'read',
    cases: { '200 application/json': { make: one() }, ...missing() },
  },
  'patch /schedules/{id}': {
    base: () => ({ path: NOTHING, ...rename }),
    scope: 'execute',
    cases: {
      '200 application/json': { make: one({ body: { request: { prompt: 'y' }, everySeconds: 60 } }) },
      REPOSITORY_NOT_ALLOWED: { make: one({ body: { request: { repository: UNLISTED } } }) },
      COMMAND_NOT_ALLOWED: { make: one({ body: { request: { prompt: null, command: 'rm -rf /' } } }) },
      NAME_TAKEN: {
        async make(scene) {
          const name = randomUUID()
          await made(scene, { name })
          return { path: await made(scene), body: { name } }
        },
      },
      ...missing(NOTHING, rename),
    },
  },
  'delete /schedules/{id}': {
    base: () => ({ path: NOTHING }),
    scope: 'execute',
    cases: { 204: { make: one() }, ...missing() },
  },
  'post /schedules/{id}/run': {
    base: () => ({ path: `${NOTHING}/run`, body: {} }),
    scope: 'execute',
    cases: {
      '202 application/json': { make: run(({ workspace }) => ({ prompt: 'x', workspace })) },
      '200 application/json': { make: (scene) => runTwice(scene, randomUUID(), 'walked') },
      IDEMPOTENCY_CONFLICT: { make: (scene) => runTwice(scene, randomUUID(), 'another') },
      WORKSPACE_NOT_FOUND: { make: run(() => ({ prompt: 'x', workspace: OWNED }), 'other') },
      SESSION_NOT_FOUND: { make: run(() => ({ prompt: 'x', session: { resume: NOBODY } })) },
      SESSION_BUSY: { make: run(({ running }) => ({ prompt: 'x', session: { resume: running } })) },
      WEBHOOK_NOT_FOUND: { make: run(() => ({ prompt: 'x', webhooks: [`whk_${'0'.repeat(32)}`] })) },
      BUDGET_EXCEEDED: { make: run(() => ({ prompt: 'x', maxBudgetTokens: 1_000 }), 'poor') },
      QUEUE_FULL: {
        phase: 'full',
        async make(scene) {
          await scene.fillQueue()
          return run(() => ({ prompt: ENDLESS }), 'other')(scene)
        },
      },
      EXECUTION_NOT_FOUND: {
        phase: 'forgotten',
        async make(scene) {
          await scene.untilForgotten()
          const path = `${await made(scene, { request: { prompt: 'forgotten soon' } })}/run`
          return { path, headers: { 'idempotency-key': scene.forgottenKey } }
        },
      },
      ...missing(`${NOTHING}/run`),
    },
  },
}
