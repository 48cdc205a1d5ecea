// The example of a hook that opens a pull request, against a stand-in of GitHub's API.
import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ROOT } from '../support/paths.js'
import { once } from '../support/deadlines.js'

interface Pull {
  readonly title: string
  readonly head: string
  readonly base: string
}
const BRANCHES = ['trunk', 'release', 'release/2']
const pulls: Pull[] = []
const tokens = new Set<string | undefined>()
/** What GitHub says to the next one that would open a pull request. */
let refusal: object | undefined

function answerTo(method: string | undefined, { pathname, searchParams }: URL, body: string): [number, object] {
  const path = pathname.replace('/repos/acme/shop', '')
  if (path === '') return [200, { default_branch: 'trunk' }]
  const [, branch] = /^\/git\/ref\/heads\/(.+)$/.exec(path) ?? []
  if (branch !== undefined) return BRANCHES.includes(branch) ? [200, {}] : [404, { message: 'Not Found' }]
  if (method === 'GET') {
    const head = searchParams.get('head')
    return [200, pulls.filter((pull) => searchParams.get('state') === 'open' && head === `acme:${pull.head}`)]
  }
  if (refusal !== undefined) return [422, refusal]
  const asked = JSON.parse(body) as Pull
  // Of one branch there may be pull requests to several.
  if (!BRANCHES.includes(asked.base)) return [422, { message: 'Validation Failed', errors: [{ field: 'base' }] }]
  pulls.push(asked)
  return [201, { html_url: `https://pr/${pulls.length}` }]
}
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  tokens.add(request.headers.authorization)
  const [status, value] = answerTo(request.method, new URL(request.url ?? '', 'http://x'), await text(request))
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}
const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
await once(server, 'listening')
t.teardown(() => void server.close())

async function open(repository: object | undefined, asked?: object): Promise<{ code: number; said: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'deployment/pull-request.mjs')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Safe: it listens on TCP.
    env: { GITHUB_TOKEN: 'of-the-operator', GITHUB_API: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
  })
  const outcome = { status: 'succeeded', result: 'Fixed it\nfor good', repository }
  child.stdin.end(JSON.stringify({ executionId: 'e1', request: { repository: asked }, outcome }))
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return { code: code as number, said: said.trim() }
}
const pushed = { url: 'https://github.com/acme/shop.git', branch: 'fix/x', pushed: true }
const isOpen = { code: 0, said: 'the pull request is open already' }

void t.test('a branch that was pushed becomes a pull request, once', async (t) => {
  t.same(await open({ ...pushed, pushed: false }), { code: 0, said: '' })
  t.same(await open(undefined), { code: 0, said: '' })
  t.equal(tokens.size, 0)
  t.same(await open(pushed, {}), { code: 0, said: 'opened https://pr/1' })
  t.match(pulls, [{ title: 'Fixed it', head: 'fix/x', base: 'trunk' }])
  t.same([...tokens], ['Bearer of-the-operator'])
  t.same(await open({ ...pushed, url: 'ssh://git@github.com/acme/shop' }, { ref: 'release' }), isOpen)
})

void t.test(
  'it goes to the branch that was named, to the default one from a tag, a commit or another ref',
  async (t) => {
    const bases = { release: 'release', 'release/2': 'release/2', 'refs/heads/release': 'release' }
    const others = ['v1.0', 'refs/tags/v1.0', 'c6b648e', 'c6b648e'.padEnd(40, '0'), 'refs/pull/7/head']
    const all = { ...bases, ...Object.fromEntries(others.map((ref) => [ref, 'trunk'])) }
    for (const [ref, base] of Object.entries(all)) {
      t.match(await open({ ...pushed, branch: `from/${ref}` }, { ref }), { code: 0, said: /^opened / }, ref)
      t.match(pulls.at(-1), { head: `from/${ref}`, base }, ref)
    }
  },
)

void t.test('a follow-up, which names no repository, opens no second one to another branch', async (t) => {
  await open({ ...pushed, branch: 'fix/y' }, { ref: 'release' })
  const count = pulls.length
  t.same(await open({ ...pushed, branch: 'fix/y' }), isOpen)
  t.equal(pulls.length, count)
})

void t.test('one that was opened meanwhile is left alone', async (t) => {
  refusal = { message: 'Validation Failed', errors: [{ message: 'A pull request already exists' }] }
  t.same(await open({ ...pushed, branch: 'fix/z' }, {}), isOpen)
})
