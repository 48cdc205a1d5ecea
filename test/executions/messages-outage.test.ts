// Redis is restarted while a message is open: what was accepted is delivered once, with what is attached.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openRedisServer, splitPath } from '../../src/platform/redis-server.js'
import { sha256 } from '../../src/platform/hash.js'
import { scripted } from '../support/environment.js'
import { makePng } from '../support/media.js'
import { openTestService, type Answer } from '../support/service.js'
import { until as untilTrue } from '../support/deadlines.js'

const held = {
  tool: 'Bash',
  input: { command: "until [ -e go ]; do perl -e 'select(undef,undef,undef,0.05)'; done", description: 'waits' },
}

const skip = process.env['CC_EXECUTOR_TEST_ALL'] === undefined ? 'only in npm run test:all' : false

void t.test('Redis is restarted with a message open', { skip }, async (t) => {
  const closing: Array<() => Promise<void>> = []
  const service = await openTestService({ teardown: (fn) => void closing.push(fn) }, { durable: true })
  let again: Awaited<ReturnType<typeof openRedisServer>> | undefined
  t.teardown(async () => {
    for (const close of closing) await close()
    await again?.close()
  })
  const { call, submit, until, finished, redis } = service
  const { id, workspace } = await submit({
    prompt: scripted(held, { turn: true }, { text: 'done' }),
    allowedTools: ['Bash'],
  })
  // Of this worker's four places it takes one: what is sent to this one stays open.
  const queued = await submit({ prompt: scripted({ text: 'later' }), attachments: [toImage(1)], workspace: 'named' })
  await until(id, 'tool.started')
  const send = (text: string, shade: number): Promise<Answer> =>
    call('POST', `/executions/${id}/messages`, {
      body: { text, attachments: [toImage(shade)] },
      headers: { 'idempotency-key': text },
    })
  t.equal((await send('before', 2)).status, 202)
  await redis.close()
  t.match(await send('while it is away', 3), { status: 503, body: { code: 'STORE_UNAVAILABLE' } })
  again = await openRedisServer({
    directory: join(service.directory, 'redis'),
    searchPath: splitPath(service.environment['PATH']),
    durable: true,
  })
  let answer = await send('while it is away', 3)
  await untilTrue(async () => (answer = await send('while it is away', 3)).status < 300, 'it is accepted')
  t.match(await send('while it is away', 3), { status: 200, body: { id: answer.body.id } }, 'once')
  await writeFile(join(service.config.workspaceRoot, workspace, 'go'), '')
  t.match(await finished(id), { status: 'succeeded', outcome: { result: 'done' } })
  const { messages } = (await call('GET', `/executions/${id}/messages`)).body
  t.match(
    messages.map(({ text, status }: { text: string; status: string }) => [text, status]),
    [
      ['before', 'delivered'],
      ['while it is away', 'delivered'],
    ],
  )
  const heard = service.simulator.requests.find(({ said = [] }) => said.join().includes('while it is away'))
  t.same(
    heard?.attached,
    [2, 3].map((shade) => `user: image image/png ${sha256(makePng(shade))}`),
  )
  t.match(await finished(queued.id), { status: 'succeeded' })
})

function toImage(shade: number): { mediaType: string; data: string } {
  return { mediaType: 'image/png', data: makePng(shade).toString('base64') }
}
