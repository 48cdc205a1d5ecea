// `npm start -- --simulate` in the built checkout, as the README says it: walked by the documents that it serves.
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { noBrowser, openBrowser } from '../support/browser.js'
import { ROOT } from '../support/paths.js'
import { ask } from './scene.js'
import { startWhole, TOKENS, type Started } from './started-service.js'
import { walk } from './walk.js'
import { once } from '../support/deadlines.js'

const LONG_ID = 'a'.repeat(101)
/** Of a path: the status with a token and without. */
const PATHS: readonly (readonly [string, string, number, number])[] = [
  ...['', '/result', '/events', '/files', '/files/x', '/files.tar.gz', '/receipt'].map(
    (suffix) => ['GET', `/executions/${LONG_ID}${suffix}`, 404, 401] as const,
  ),
  ...['/cancel', '/pause', '/resume'].map((suffix) => ['POST', `/executions/${LONG_ID}${suffix}`, 404, 401] as const),
  ['DELETE', `/executions/${LONG_ID}`, 404, 401],
  ['GET', `/executions/${'a'.repeat(8_000)}`, 404, 401],
  ['GET', `/executions/x/files/${'a'.repeat(8_000)}`, 404, 401],
  ['GET', '/docs/static/..%2fx', 404, 404],
  ['GET', '/docs/static/nothing', 404, 404],
  ['GET', '/docs/static/%00', 400, 400],
  ['GET', '/docs', 200, 200],
  ['GET', '/docs/', 200, 200],
  ['GET', '/docs/json', 200, 200],
  ['GET', '/docs/yaml', 200, 200],
  ['GET', '/openapi.json', 200, 200],
]

async function answersPaths(t: Test, { url }: Started): Promise<void> {
  for (const [method, path, known, unknown] of PATHS) {
    const what = `${method} ${path.slice(0, 60)}`
    t.equal((await ask(url, { method, path })).status, known, what)
    t.equal((await ask(url, { method, path, as: null })).status, unknown, `${what} without a token`)
  }
}

/** From Node 26 on the parser hands over a stream that is no socket where an upgrade has a body. */
async function survivesUpgrades(t: Test, { url }: Started): Promise<void> {
  const { hostname, port } = new URL(url)
  const offers = {
    h2c: 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
    websocket:
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
  }
  for (const [name, offer] of Object.entries(offers)) {
    for (const [who, token] of [
      ['nobody', ''],
      ['somebody', `Authorization: Bearer ${TOKENS.all}\r\n`],
    ] as const) {
      for (const length of ['Content-Length: 100\r\n', 'Transfer-Encoding: chunked\r\n']) {
        const socket = connect(Number(port), hostname)
        socket.on('error', () => undefined)
        socket.write(
          `POST /execute HTTP/1.1\r\nHost: ${hostname}:${port}\r\n${token}${offer}Content-Type: ` +
            `application/json\r\n${length}\r\n${length.startsWith('T') ? 'ff\r\n' : ''}{"prompt":`,
        )
        // With a token the answer waits for the body, which never comes whole.
        const answered = once(socket, 'data')
        if (who === 'nobody' || name === 'websocket')
          t.match(
            String(await answered),
            who === 'nobody' ? /^HTTP\/1\.1 401 / : /^HTTP\/1\.1 4\d\d /,
            `${name}, ${who}`,
          )
        else answered.catch(() => undefined)
        socket.end()
        await once(socket.resume(), 'close')
      }
    }
  }
  t.equal((await ask(url, { method: 'GET', path: '/health' })).status, 200, 'it lives')
}

/** The page lists every operation of the document that it has loaded from this service. */
async function rendersDocs(t: Test, { url }: Started): Promise<void> {
  const { paths } = (await ask(url, { method: 'GET', path: '/openapi.json', as: null })).body as {
    paths: Record<string, object>
  }
  const browser = await openBrowser()
  t.teardown(() => browser.close())
  for (const address of ['/docs', '/docs/']) {
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
    page.on('pageerror', (error) => void complaints.push(String(error)))
    await page.goto(url + address)
    await page.waitForSelector('.opblock')
    const shown = await page.locator('.opblock').count()
    t.equal(shown, Object.values(paths).flatMap((item) => Object.keys(item)).length, address)
    t.same(complaints, [])
    await page.close()
  }
  const page = await browser.newPage()
  await page.goto(url)
  t.equal(new URL(page.url()).pathname, '/console/', 'whoever knows the address alone gets to the console')
}

void t.test('npm start -- --simulate answers all that it documents', async (t) => {
  const started = await startWhole(t, ['npm', 'start', '--', '--simulate'], ROOT)
  const { uptimeSeconds, instanceId } = (await ask(started.url, { method: 'GET', path: '/health' })).body
  await answersPaths(t, started)
  await survivesUpgrades(t, started)
  await t.test('/docs in a browser', { skip: noBrowser }, (t) => rendersDocs(t, started))
  const after = (await ask(started.url, { method: 'GET', path: '/health' })).body
  t.ok(after.instanceId === instanceId && after.uptimeSeconds >= uptimeSeconds, 'it is still the same process')
  await walk(t, started)
})
