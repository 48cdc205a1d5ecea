// The example of a hook that opens a pull request, against a stand-in of GitHub's API.
import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ROOT } from '../support/paths.js'
import { once } from '../support/deadlines.js'

const asked: Array<{ readonly line: string; readonly token: string | undefined; readonly body: string }> = []
let status = 201
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request)
  asked.push({ line: `${request.method} ${request.url}`, token: request.headers.authorization, body })
  const isGet = request.method === 'GET'
  response.writeHead(isGet ? 200 : status, { 'content-type': 'application/json' })
  const refusal = { message: 'Validation Failed', errors: [{ message: 'A pull request already exists' }] }
  const created = status === 201 ? { html_url: 'https://pr/1' } : refusal
  response.end(JSON.stringify(isGet ? { default_branch: 'trunk' } : created))
}
const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
await once(server, 'listening')
t.teardown(() => void server.close())

async function open(repository: object | undefined, ref?: string): Promise<{ code: number; said: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'deployment/pull-request.mjs')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Safe: it listens on TCP.
    env: { GITHUB_TOKEN: 'of-the-operator', GITHUB_API: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
  })
  const outcome = { status: 'succeeded', result: 'Fixed it\nfor good', repository }
  child.stdin.end(JSON.stringify({ executionId: 'e1', request: { repository: { ref } }, outcome }))
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return { code: code as number, said: said.trim() }
}

void t.test('a branch that was pushed becomes a pull request, once', async (t) => {
  const pushed = { url: 'https://github.com/acme/shop.git', branch: 'fix/x', pushed: true }
  t.same(await open({ ...pushed, pushed: false }), { code: 0, said: '' })
  t.same(await open(undefined), { code: 0, said: '' })
  t.equal(asked.length, 0)
  t.same(await open(pushed), { code: 0, said: 'opened https://pr/1' })
  t.match(asked[1], { line: 'POST /repos/acme/shop/pulls', token: 'Bearer of-the-operator' })
  t.match(JSON.parse(asked[1]?.body ?? ''), { title: 'Fixed it', head: 'fix/x', base: 'trunk' })
  status = 422
  const ssh = { ...pushed, url: 'ssh://git@github.com/acme/shop' }
  t.same(await open(ssh, 'release'), { code: 0, said: 'the pull request is open already' })
  t.match(JSON.parse(asked[3]?.body ?? ''), { base: 'release' })
})
