// What the operations of a walk are called with: executions in every state that an answer depends on.
import { randomUUID } from 'node:crypto'
import { lstat, mkdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { proveLocal, readLocalSecret } from '../../src/platform/local-proof.js'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { openWaiters } from '../support/waiters.js'
import { FILES_LIMIT_BYTES, RETENTION_COUNT, rootOf, type TokenName, TOKENS } from './started-service.js'
import { repeat } from '../support/deadlines.js'

export interface Asked {
  readonly method: string
  readonly path: string
  /** null: without a token. */
  readonly as?: TokenName | null
  readonly body?: unknown
  readonly raw?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answered {
  readonly status: number
  readonly media: string
  readonly headers: Headers
  readonly text: string
  /** Parsed where it is JSON; tests know what they asked for. */
  readonly body: ReturnType<typeof JSON.parse>
}

export async function ask(
  url: string,
  { method, path, as = 'all', body, raw, headers = {} }: Asked,
): Promise<Answered> {
  const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(as !== null && { authorization: `Bearer ${TOKENS[as]}` }),
      ...(sent !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(sent !== undefined && { body: sent }),
  })
  const text = await response.text()
  const media = response.headers.get('content-type')?.split(';')[0] ?? ''
  return {
    status: response.status,
    media,
    headers: response.headers,
    text,
    body: /[/+]json$/.test(media) ? JSON.parse(text) : undefined,
  }
}

export type Scene = Awaited<ReturnType<typeof setScene>>

/** An id that nothing has. */
export const NOBODY = '01900000-0000-7000-8000-000000000000'
/** Silence in the middle of an answer: a run that goes on until it is cancelled. */
export const ENDLESS = scripted({ text: 'begun' }, { hangMs: 600_000 })
/** A call that waits for a person. */
const ASKING = scripted({ tool: 'Bash', input: { command: 'touch asked' } }, { text: 'asked' })
const KEPT = scripted(
  { tool: 'Write', input: { file_path: '${cwd}/data.bin', content: '0123456789' } },
  { tool: 'Write', input: { file_path: '${cwd}/large.bin', content: 'x'.repeat(FILES_LIMIT_BYTES + 1) } },
  { text: 'Written.' },
)
/** A workspace of the token that asks for most; others have scopes of their own, and not this one. */
export const OWNED = 'owned'
const STRUCTURED = {
  prompt: scripted({ structured: { n: 1 } }),
  outputSchema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
}

export async function setScene(url: string, folder: string, admission?: () => Promise<Record<string, unknown>>) {
  const submit = async (
    body: Record<string, unknown>,
    headers: Record<string, string> = {},
    as: TokenName = 'all',
  ): Promise<string> => {
    const answer = await ask(url, { method: 'POST', path: '/execute', as, body, headers })
    if (answer.status !== 202) throw new Error(`not accepted: ${answer.status} ${answer.text}`)
    return answer.body.id
  }
  const get = async (id: string): Promise<Execution> =>
    (await ask(url, { method: 'GET', path: `/executions/${id}` })).body
  const { until, ...waiters } = openWaiters((method, path) => ask(url, { method, path }))
  const finished = async (id: string): Promise<string> => (await waiters.finished(id)).id
  // Of all the first to end.
  const forgottenKey = randomUUID()
  const forgotten = await finished(await submit({ prompt: 'forgotten soon' }, { 'idempotency-key': forgottenKey }))
  /** What runs in this workspace keeps others waiting. */
  const workspace = 'occupied'
  const running = await submit({ prompt: ENDLESS, workspace })
  const queued = await submit({ prompt: 'waits', workspace })
  const [kept, structured] = await Promise.all([
    submit({ prompt: KEPT }).then(finished),
    submit({ ...STRUCTURED, workspace: OWNED }).then(finished),
    until(running, 'text.delta'),
  ])
  // It takes all that its token may spend on a day.
  const spent = await submit({ prompt: ENDLESS, workspace }, {}, 'poor')
  // Neither of the two can have more.
  const ofTight = { prompt: 'waits', workspace, maxBudgetTokens: 1_000 }
  const [tight] = await Promise.all([submit(ofTight, {}, 'tight'), submit(ofTight, {}, 'tight')])
  const list = await submit({ tasks: ['waits'], workspace })
  const neverStarted = await submit({ prompt: 'never starts', workspace })
  await ask(url, { method: 'POST', path: `/executions/${neverStarted}/cancel` })
  /** A run that nobody else needs, as it runs. */
  const runsAlone = async (): Promise<string> => {
    const id = await submit({ prompt: ENDLESS })
    await until(id, 'text.delta')
    return id
  }
  /** An approval that nobody else needs; the same one each time, whatever was decided on it. */
  let approval: Promise<string> | undefined
  const asks = (): Promise<string> =>
    (approval ??= (async () => {
      const id = await submit({ prompt: ASKING, permissionMode: 'default', onPermissionNeeded: 'ask' })
      return (await until(id, 'approval.requested')).data.approval.id
    })())
  /** A repository, and runs on it that commit what is kept, and more than that. */
  const origin = join(rootOf(folder), 'origin')
  const identity = ['-c', 'user.name=origin', '-c', 'user.email=origin@localhost']
  const commands = [
    ['git', 'init', '-q', '-b', 'main', '.'],
    ['git', ...identity, 'commit', '-q', '--allow-empty', '-m', 'first'],
  ]
  let made: Promise<string> | undefined
  const commits = (content: string) => {
    let execution: Promise<string> | undefined
    const prompt = scripted({ tool: 'Write', input: { file_path: '${cwd}/data.txt', content } }, { text: 'Written.' })
    return (): Promise<string> =>
      (execution ??= (async () => {
        await (made ??= submit({ prompt: 'begins', workspace: origin, verify: { commands } }).then(finished))
        return finished(await submit({ prompt, repository: { url: origin } }))
      })())
  }
  const waits = (): Promise<string> => submit({ prompt: 'waits', workspace })
  const filling: string[] = []
  const cancel = async (id: string): Promise<void> =>
    void (await ask(url, { method: 'POST', path: `/executions/${id}/cancel` }))
  /** Until so many have ended after it that it is no longer kept. */
  async function pushOut(): Promise<void> {
    await Promise.all(filling.splice(0).map(cancel))
    for (
      let count = 0;
      (await ask(url, { method: 'GET', path: `/executions/${forgotten}` })).status !== 404;
      count += 1
    ) {
      if (count < RETENTION_COUNT) await cancel(await submit({ prompt: 'pushes it out', workspace }))
      else await delay(100)
    }
  }
  let pushing: Promise<void> | undefined
  /** What `run --here` sends from there, by the secret of the data folder. */
  const toAdmission = async (): Promise<Record<string, unknown>> => {
    if (admission) return admission()
    const admitted = join(await realpath(folder), 'admitted')
    await mkdir(admitted, { recursive: true })
    const { dev, ino } = await lstat(admitted, { bigint: true })
    const claim = { folder: admitted, device: String(dev), inode: String(ino), issuedAt: Date.now() }
    return { ...claim, proof: proveLocal((await readLocalSecret(join(folder, 'data'))) ?? '', claim) }
  }
  return {
    cancel,
    toAdmission,
    listing: async () => (await ask(url, { method: 'GET', path: `/executions/${kept}/files` })).body,
    url,
    running,
    queued,
    kept,
    structured,
    neverStarted,
    spent,
    tight,
    list,
    workspace,
    forgottenKey,
    submit,
    get,
    until,
    runsAlone,
    waits,
    committed: commits('0123456789\n'),
    overCommitted: commits(Array.from({ length: FILES_LIMIT_BYTES }, () => randomUUID()).join('\n')),
    asks,
    finished,
    receipt: (await ask(url, { method: 'GET', path: `/executions/${kept}/receipt` })).body as Record<string, unknown>,
    sessionId: (await get(running)).sessionId,
    key: randomUUID(),
    /** Until the queue takes no more. */
    async fillQueue(): Promise<void> {
      await repeat(async () => {
        const body = { prompt: 'fills', workspace }
        const answer = await ask(url, { method: 'POST', path: '/execute', body })
        if (answer.status === 429) return true
        filling.push(answer.body.id)
        return undefined
      }, 'the queue is full')
    },
    untilForgotten: (): Promise<void> => (pushing ??= pushOut()),
  }
}
