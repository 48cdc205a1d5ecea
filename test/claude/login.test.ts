// The operator's login as the worker keeps it: renewed once, under a lock, never lost and never emptied.
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { chooseDefaultModel } from '../../src/claude/install/default-model.js'
import { readLogin, toRunLogin } from '../../src/claude/install/login-file.js'
import { LoginKeeper } from '../../src/claude/install/login-keeper.js'
import { proxyFor } from '../../src/claude/install/post-json.js'
import { openSimulator, type Simulator } from '../../src/simulator/simulator.js'
import { once, until } from '../support/deadlines.js'

const HOUR = 3_600_000
interface Place {
  readonly simulator: Simulator
  readonly folder: string
  write(login: Record<string, unknown>): Promise<void>
  read(): Promise<Record<string, unknown>>
  keeper(options?: { readonly tokenUrl?: string; readonly env?: NodeJS.ProcessEnv }): LoginKeeper
}

async function openPlace(t: Test): Promise<Place> {
  const simulator = await openSimulator()
  const root = await mkdtemp(join(tmpdir(), 'cce-login-'))
  const folder = join(root, 'claude')
  await mkdir(folder)
  t.teardown(async () => {
    await simulator.close()
    await rm(root, { recursive: true, force: true })
  })
  const file = join(folder, '.credentials.json')
  return {
    simulator,
    folder,
    write: (login) =>
      writeFile(
        file,
        JSON.stringify({
          mcpOAuth: { kept: true },
          claudeAiOauth: { scopes: ['user:inference'], subscriptionType: 'max', own: 1, ...login },
        }),
        { mode: 0o600 },
      ),
    read: async () => JSON.parse(await readFile(file, 'utf8')).claudeAiOauth,
    keeper: ({ tokenUrl = `${simulator.url}/v1/oauth/token`, env = {} } = {}) =>
      new LoginKeeper({ configDir: folder, tokenUrl, env }),
  }
}
const statuses = ({ logins }: Simulator): number[] => logins.renewals.map(({ status }) => status)

void t.test(
  'a token that holds is used as it is; one that ends soon is renewed once for everybody who asks',
  async (t) => {
    const { simulator, folder, write, read, keeper } = await openPlace(t)
    const old = simulator.logins.issue()
    await write({ ...old })
    t.equal((await keeper().current()).accessToken, old.accessToken)
    t.same(statuses(simulator), [])

    await write({ ...old, expiresAt: Date.now() + 60_000 })
    const workers = [keeper(), keeper(), keeper()]
    const got = await Promise.all(workers.flatMap((worker) => [worker.current(), worker.current()]))
    t.same(statuses(simulator), [200], 'three workers, two runs each')
    const present = await read()
    t.same([...new Set(got.map(({ accessToken }) => accessToken))], [present['accessToken']])
    t.match(present, { own: 1, subscriptionType: 'max', scopes: ['user:inference', 'user:profile'] })
    t.not(present['refreshToken'], old.refreshToken)
    t.ok(Number(present['expiresAt']) > Date.now() + HOUR)
    t.same(JSON.parse(await readFile(join(folder, '.credentials.json'), 'utf8')).mcpOAuth, { kept: true })
    t.equal((await stat(join(folder, '.credentials.json'))).mode & 0o777, 0o600)
    t.same((await readdir(folder)).sort(), ['.credentials.json'], 'neither drafts nor locks are left')
  },
)

void t.test('what a run gets of it has no refresh token and no end', async (t) => {
  const login = { accessToken: 'a', refreshToken: 'r', expiresAt: 1, subscriptionType: 'pro' }
  t.match(JSON.parse(toRunLogin(login)), {
    claudeAiOauth: { accessToken: 'a', refreshToken: '', subscriptionType: 'pro' },
  })
  t.ok(JSON.parse(toRunLogin(login)).claudeAiOauth.expiresAt > Date.now() + 1_000 * HOUR)
  t.notMatch(toRunLogin(login, 'stand-in'), /"a"|"r"/)
})

void t.test('a login that the operator changes during a renewal is the one that counts', async (t) => {
  const { simulator, folder, write, read, keeper } = await openPlace(t)
  const [old, other] = [simulator.logins.issue(), simulator.logins.issue()]
  for (const revoked of [false, true]) {
    await write({ ...old, refreshToken: revoked ? 'of-nobody' : old.refreshToken, expiresAt: 1 })
    let release = (): void => undefined
    simulator.logins.hold(new Promise<void>((resolve) => (release = resolve)))
    const asked = keeper().current()
    await until(async () => (await readdir(folder)).includes('.oauth_refresh.lock'), 'the lock is held')
    await until(async () => simulator.requests.some(({ path }) => path === '/v1/oauth/token'), 'it is asked')
    await write({ ...other })
    release()
    t.equal((await asked).accessToken, other.accessToken, revoked ? 'refused' : 'renewed')
    t.match(await read(), { accessToken: other.accessToken, refreshToken: other.refreshToken })
  }
})

void t.test('a file that is still empty is being written, and read again', async (t) => {
  const { simulator, folder, write } = await openPlace(t)
  const login = simulator.logins.issue()
  await writeFile(join(folder, '.credentials.json'), '')
  const [found] = await Promise.all([readLogin(folder), write({ ...login })])
  t.equal(found?.accessToken, login.accessToken)
})

void t.test(
  'a renewal that is refused empties nothing, is not asked for again, and ends with a new login',
  async (t) => {
    const { simulator, write, read, keeper } = await openPlace(t)
    const old = simulator.logins.issue()
    simulator.logins.revoke(old.refreshToken)
    await write({ ...old, expiresAt: Date.now() + 60_000 })
    const worker = keeper()
    t.equal((await worker.current()).accessToken, old.accessToken, 'it still holds')
    await write({ ...old, expiresAt: 1 })
    await t.rejects(worker.current(), { name: 'LoginError', isTransient: false, message: /refused/ })
    await t.rejects(worker.current(), { name: 'LoginError', message: /refused.*Log in again/s })
    t.same(statuses(simulator), [400], 'asked once')
    t.match(await read(), { accessToken: old.accessToken, refreshToken: old.refreshToken })
    t.match(worker.problem, { message: /refused/, remedy: /Log in again/ })
    await worker.recheck()
    t.ok(worker.problem, 'the same login stays a problem')
    const next = simulator.logins.issue()
    await write({ ...next })
    await worker.recheck()
    t.equal(worker.problem, undefined)
    t.equal((await worker.current()).accessToken, next.accessToken)
  },
)

void t.test('a server that fails is asked again, and what still holds is used meanwhile', async (t) => {
  const { simulator, write, read, keeper } = await openPlace(t)
  const old = simulator.logins.issue()
  await write({ ...old, expiresAt: Date.now() + 60_000 })
  simulator.logins.failNext(503, 3)
  const worker = keeper()
  t.equal((await worker.current()).accessToken, old.accessToken)
  t.same(statuses(simulator), [503, 503, 503])
  t.equal((await worker.current()).accessToken, old.accessToken, 'not again at once')
  t.same(statuses(simulator), [503, 503, 503])
  await write({ ...old, expiresAt: 1 })
  simulator.logins.failNext(500)
  t.not((await worker.current()).accessToken, old.accessToken, 'one failure is none')
  t.match(await read(), { own: 1 })
  const nowhere = keeper({ tokenUrl: 'http://127.0.0.1:9/v1/oauth/token' })
  await write({ ...old, expiresAt: 1 })
  const unreached = {
    name: 'LoginError',
    isTransient: true,
    message: /127\.0\.0\.1:9 could not be reached.*ECONNREFUSED/,
  }
  await t.rejects(nowhere.current(), unreached)
  t.match(
    nowhere.problem,
    { message: /could not be reached/, remedy: /each execution tries again/ },
    'nobody is told to log in',
  )
  simulator.logins.failNext(503, 3)
  await t.rejects(keeper().current(), { isTransient: true, message: /did not renew it \(status 503, server_error\)/ })
})

void t.test('a token that the API has refused is exchanged, but not again on the word of a run', async (t) => {
  const { simulator, write, keeper } = await openPlace(t)
  const old = simulator.logins.issue()
  await write({ ...old })
  const worker = keeper()
  const heard: string[] = []
  await worker.current()
  const follower = worker.follow(({ accessToken }) => heard.push(accessToken))
  const { accessToken } = await worker.current(old.accessToken)
  t.not(accessToken, old.accessToken)
  t.same(heard, [accessToken], 'whoever runs hears of it')
  t.equal((await worker.current(accessToken)).accessToken, accessToken)
  t.same(statuses(simulator), [200])
  follower.release()
  const other = simulator.logins.issue()
  await write({ ...other })
  await worker.current()
  t.same(heard, [accessToken], 'and no more after its end')
})

void t.test(
  'where the folder cannot be written nothing is spent',
  { skip: process.getuid?.() === 0 && 'root can write everywhere' },
  async (t) => {
    const { simulator, folder, write, keeper } = await openPlace(t)
    await write({ ...simulator.logins.issue(), expiresAt: 1 })
    await chmod(folder, 0o500)
    await t.rejects(keeper().current(), { name: 'LoginError' })
    t.same(statuses(simulator), [])
    await chmod(folder, 0o700)
  },
)

void t.test('a lock that a killed holder left is taken over', { timeout: 600_000 }, async (t) => {
  const { simulator, folder, write, keeper } = await openPlace(t)
  await write({ ...simulator.logins.issue(), expiresAt: 1 })
  const lock = join(folder, '.oauth_refresh.lock')
  await mkdir(lock)
  const signs = setInterval(() => void utimes(lock, new Date(), new Date()).catch(() => undefined), 500)
  let isOver = false
  const asked = keeper()
    .current()
    .finally(() => (isOver = true))
  const signed = performance.now()
  await until(async () => performance.now() - signed > 2_000, 'it gives signs of life')
  t.equal(isOver, false, 'somebody alive is waited for')
  t.same(statuses(simulator), [])
  clearInterval(signs)
  await asked
  t.same(statuses(simulator), [200])
  t.ok(performance.now() - signed > 12_000)
})

void t.test('whoever holds either of the CLI’s own locks is waited for', { timeout: 600_000 }, async (t) => {
  const { simulator, folder, write, keeper } = await openPlace(t)
  const [old, next] = [simulator.logins.issue(), simulator.logins.issue()]
  for (const lock of [join(folder, '.oauth_refresh.lock'), `${folder}.lock`]) {
    await write({ ...old, expiresAt: 1 })
    await mkdir(lock)
    const asked = keeper().current()
    const tried = await Promise.race([asked, new Promise((resolve) => void setTimeout(resolve, 1_500))])
    t.equal(tried, undefined, `${lock} is waited for`)
    // Its holder has renewed it: nothing is left to ask for.
    await write({ ...next })
    await rmdir(lock)
    t.equal((await asked).accessToken, next.accessToken)
    t.same(statuses(simulator), [])
  }
})

void t.test('the way to the server is that of the operator’s proxy', async (t) => {
  const url = new URL('https://platform.claude.com/v1/oauth/token')
  t.equal(proxyFor(url, { HTTPS_PROXY: 'http://proxy:3128' })?.host, 'proxy:3128')
  t.equal(proxyFor(url, { https_proxy: 'http://low:1', HTTPS_PROXY: 'http://high:1' })?.host, 'low:1')
  t.equal(proxyFor(url, { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: 'example.com, .claude.com' }), undefined)
  t.equal(proxyFor(url, { HTTP_PROXY: 'http://proxy:3128' }), undefined)

  const { simulator, write, keeper } = await openPlace(t)
  await write({ ...simulator.logins.issue(), expiresAt: 1 })
  const asked: string[] = []
  const proxy = createServer().on('connect', (request, client, head) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization']}`)
    const [host = '', port] = (request.url ?? '').split(':')
    const server = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      server.write(head)
      server.pipe(client).pipe(server)
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => void proxy.close())
  // Safe: it listens on a port.
  const { port } = proxy.address() as AddressInfo
  await keeper({ env: { HTTP_PROXY: `http://me:pass@127.0.0.1:${port}` } }).current()
  t.same(asked, [`${new URL(simulator.url).host} Basic ${Buffer.from('me:pass').toString('base64')}`])
  t.same(statuses(simulator), [200])
})

void t.test('the default model is the same whatever the kind of credential', async (t) => {
  const { folder, write } = await openPlace(t)
  const base = { source: '', billed: false, message: '', warnings: [] }
  const choose = (method: 'login' | 'oauth_token' | 'api_key') =>
    chooseDefaultModel({ ...base, method, ...(method === 'login' && { configDir: folder }) }, 'claude-opus-9[1m]')
  t.equal(await choose('api_key'), undefined, 'the CLI chooses it by itself')
  t.equal(await choose('oauth_token'), 'claude-opus-9')
  await write({ accessToken: 'a', subscriptionType: 'pro' })
  t.equal(await choose('login'), 'claude-opus-9')
  await write({ accessToken: 'a', subscriptionType: 'max' })
  t.equal(await choose('login'), undefined)
  t.equal(await chooseDefaultModel({ ...base, method: 'oauth_token' }, undefined), undefined)
})
