// cc-executor tokens, and the calls of the client below it.
import { join } from 'node:path'
import t from 'tap'
import { openClient } from '../../src/client/open-client.js'
import type { Token } from '../../src/protocol/tokens.js'
import { openCommandLine } from '../support/command-line.js'
import { openTestService } from '../support/service.js'

const service = await openTestService(t, { workers: 0 })
const runCommand = openCommandLine(t)
const env = (token = service.token): NodeJS.ProcessEnv => ({
  CC_EXECUTOR_URL: service.url(),
  CC_EXECUTOR_TOKEN: token,
  CC_EXECUTOR_DATA_DIR: join(service.directory, 'elsewhere'),
})
const cli = (...args: string[]) => runCommand(['tokens', ...args], env())
const listed = async (): Promise<Token[]> => JSON.parse((await cli('list', '--json')).stdout).tokens

void t.test('a token is added, listed and revoked, by its name too', async (t) => {
  const added = await cli(
    'add',
    'for ci',
    '--scopes',
    'read,execute',
    '--expires',
    '30d',
    '--daily-usd',
    '2.50',
    ...'--max-concurrent 2'.split(' '),
  )
  t.match(added, { code: 0, stdout: /^cce_[0-9a-f]{32}_[\w-]{43}\n$/, stderr: /made tok_[0-9a-f]{32}; its secret/ })
  t.match(await runCommand(['list'], env(added.stdout.trim())), { code: 0 }, 'and it is one')
  const token = (await listed()).find(({ origin }) => origin === 'api')
  t.match(token, { name: 'for ci', scopes: ['read', 'execute'], dailyBudgetUsd: 2.5, maxConcurrent: 2 })
  const days = (Date.parse(token?.expiresAt ?? '') - Date.now()) / 86_400_000
  t.ok(days > 29 && days <= 30)
  const table = (await cli('list')).stdout
  t.match(table, new RegExp(`^default +default +read\\+execute\\+approve\\+admin +no expiry +file$`, 'm'))
  t.match(table, new RegExp(`^${token?.id} +for ci +read\\+execute +${token?.expiresAt}$`, 'm'))
  t.match(await cli('revoke', 'for ci'), { code: 0, stdout: `revoked  ${token?.id}  for ci\n` })
  t.match(await runCommand(['list'], env(added.stdout.trim())), { code: 1, stderr: /Unknown token/ })
  t.match(await cli('revoke', 'for ci'), { code: 1, stderr: /there is no token "for ci"/ })
})

void t.test('for programs all of it is JSON', async (t) => {
  const [one, other] = [await cli('add', 'twin', '--json'), await cli('add', 'twin', '--json')]
  const made = JSON.parse(one.stdout)
  t.match(made, { name: 'twin', scopes: ['read', 'execute'], secret: /^cce_/ })
  t.equal(one.stderr, '')
  t.match(await cli('revoke', 'twin'), { code: 1, stderr: /several tokens are named "twin"/ })
  for (const { id } of [made, JSON.parse(other.stdout)])
    t.match(JSON.parse((await cli('revoke', id, '--json')).stdout), { id, name: 'twin' })
})

void t.test('what is wrong with a call is said before anything is done', async (t) => {
  for (const [args, sentence] of [
    [[], /expected add NAME, list, or revoke ID/],
    [['add'], /expected add NAME/],
    [['add', ''], /expected add NAME/],
    [['list', 'x'], /expected add NAME/],
    [['drop', 'x'], /expected add NAME/],
    [['list', '--scopes', 'read'], /list takes --json and --url only/],
    [['add', 'x', '--scopes', 'write'], /--scopes: there is no "write"/],
    [['add', 'x', '--expires', 'soon'], /--expires/],
    [['add', 'x', '--daily-usd', '-1'], /--daily-usd/],
    [['add', 'x', '--daily-tokens', '1.5'], /--daily-tokens/],
    [['add', 'x', '--max-concurrent', 'two'], /--max-concurrent/],
  ] as const)
    t.match(await cli(...args), { code: 2, stdout: '', stderr: sentence }, args.join(' '))
  t.match(await cli('revoke', 'default'), { code: 1, stderr: /token of the configuration/ })
  t.match(await cli('add', 'x', '--execution', '01900000-0000-7000-8000-000000000000'), {
    code: 1,
    stderr: /There is no execution/,
  })
})

void t.test('the client does the same in a program', async (t) => {
  const client = openClient({ url: service.url(), token: service.token })
  t.teardown(() => client.close())
  const { id, secret } = await client.createToken({ name: 'made', scopes: ['read'] })
  t.match(await client.changeToken(id, { name: 'changed' }), { id, name: 'changed' })
  t.match(await client.token(id), { id, name: 'changed' })
  t.match((await client.tokens({ limit: 1 })).tokens.at(-1), { id })
  const other = openClient({ url: service.url(), token: secret })
  t.teardown(() => other.close())
  t.match(await other.createTicket(), { ticket: /^[\w-]{43}$/ })
  const { id: execution } = await client.execute({ prompt: 'x' })
  const watching = await client.createToken({ name: 'watches', scopes: ['read'], executionId: execution })
  const watcher = openClient({ url: service.url(), token: watching.secret })
  t.teardown(() => watcher.close())
  const events = watcher.follow(execution)
  t.match(await events.next(), { value: { type: 'execution.queued' } })
  const next = events.next()
  await client.revokeToken(watching.id)
  await t.rejects(next, { code: 'UNAUTHENTICATED' }, 'who follows is told, and does not come back for ever')
  await client.revokeToken(id)
  await t.rejects(
    other.health().then(() => other.queue()),
    { code: 'UNAUTHENTICATED' },
  )
})
