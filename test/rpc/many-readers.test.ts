// Sixty readers of one long log that read nothing: they wait, and nobody else does.
import t from 'tap'
import { WebSocket } from 'ws'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { once } from '../support/deadlines.js'

const READERS = 60
const MIB = 1024 * 1024

/** A gigabyte goes through Redis. */
const skip = process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? false : 'only in npm run test:all'

void t.test('readers of a long log keep nobody else waiting', { skip }, async (t) => {
  const service = await openTestService(t, {
    env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_OUTPUT_LIMIT_BYTES: String(64 * MIB) },
  })
  const line = { type: 'user', message: { content: [{ type: 'text', text: 'x'.repeat(16 * 1024) }] } }
  const steps = [
    { line: { type: 'system', subtype: 'init', session_id: 's', cwd: '/' } },
    { repeat: `${JSON.stringify(line)}\n`, times: 1_024 },
    { line: { type: 'result', is_error: false, subtype: 'success', result: 'long' } },
  ]
  const { id } = await service.submit({ prompt: JSON.stringify(steps) })
  t.match(await service.finished(id), { status: 'succeeded' })
  const sockets = await Promise.all(
    Array.from({ length: READERS }, async () => {
      const socket = new WebSocket(`${service.url().replace('http', 'ws')}/ws`, {
        headers: { authorization: `Bearer ${service.token}` },
      })
      await once(socket, 'open')
      socket.pause()
      return socket
    }),
  )
  t.teardown(() => sockets.forEach((socket) => socket.terminate()))
  for (const socket of sockets) {
    const params = { executionId: id }
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execution.subscribe', params }))
  }
  const statuses = new Set<number>()
  let slowestMs = 0
  for (let count = 0; count < 200; count += 1) {
    const begun = performance.now()
    statuses.add((await service.call('GET', `/executions/${id}`)).status)
    slowestMs = Math.max(slowestMs, performance.now() - begun)
  }
  t.same([...statuses], [200], `the slowest answer took ${Math.round(slowestMs)} ms`)
  const exported = await service.call('GET', `/executions/${id}/events`, {
    headers: { accept: 'application/x-ndjson' },
  })
  t.equal(exported.text.trim().split('\n').length, (await service.events(id)).length, 'an export is whole')
})
