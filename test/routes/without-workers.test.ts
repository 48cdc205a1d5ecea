// An API that no worker has joined.
import t from 'tap'
import { openTestService } from '../support/service.js'

void t.test('without a worker the service accepts, and says what is missing', async (t) => {
  const alone = await openTestService(t, { workers: 0, env: { CC_EXECUTOR_MAX_QUEUE: '2' } })
  const ready = await alone.call('GET', '/health/ready')
  t.match(
    [ready.status, ready.body],
    [
      503,
      {
        status: 'failed',
        parts: { redis: { status: 'ok' }, workers: { status: 'failed', count: 0, message: /npm start/ } },
      },
    ],
  )
  t.match(ready.headers.get('retry-after'), /^\d+$/)
  t.match((await alone.call('GET', '/auth/status')).body, { authenticated: false, workers: [], remedy: /npm start/ })
  t.equal((await alone.call('GET', '/health')).status, 200)
  const { id } = await alone.submit({ prompt: 'x'.repeat(500) })
  for (const control of ['pause', 'resume'])
    t.match((await alone.call('POST', `/executions/${id}/${control}`)).body, { status: 409, code: 'NOT_RUNNING' })
  t.match((await alone.call('GET', `/executions/${id}/result`)).body, { code: 'NOT_FINISHED' })
  const body = {
    prompt: 'y'.repeat(2_000),
    workspace: 'kept',
    priority: 'high',
    metadata: { a: 'b' },
    timeoutSeconds: 'auto',
    queueTimeoutSeconds: 86_400,
  }
  const submitted = await alone.call('POST', '/execute', { body })
  const { body: read } = await alone.call('GET', `/executions/${submitted.body.id}`)
  t.same(submitted.body, read, 'the answer is what a look at it finds')
  t.match(read, { request: body, position: 1, lastSeq: 1, workspace: 'kept' })
  const { executions } = (await alone.call('GET', '/executions')).body
  t.same(
    executions.map(({ request }: { request: { prompt: string } }) => request.prompt),
    [`${'y'.repeat(200)}…`, 'x'.repeat(500).slice(0, 200).concat('…')],
    'a list shows the beginning of a prompt, whether a short form of it is stored or not',
  )
  const full = await alone.call('POST', '/execute', { body: { prompt: 'z' } })
  t.match(full.body, { status: 429, code: 'QUEUE_FULL', retryable: true })
  t.match(full.headers.get('retry-after'), /^\d+$/)
  t.match((await alone.call('GET', '/queue')).body, { depth: 2, maxDepth: 2, capacity: 0, estimatedWaitSeconds: null })
  t.match((await alone.call('POST', `/executions/${id}/cancel`)).body, { status: 'cancelled' })
  t.equal((await alone.call('DELETE', `/executions/${id}`)).status, 204)
})
