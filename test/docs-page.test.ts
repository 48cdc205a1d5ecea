// The page at /docs and a browser's WebSocket, in a real browser. It takes a Chromium: Debian's is found by itself.
import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import t from 'tap'
import { noBrowser, openBrowser } from './support/browser.js'
import { openTestService } from './support/service.js'

const DEADLINE_MS = 30_000

void t.test('in a browser', { skip: noBrowser, timeout: 4 * DEADLINE_MS }, async (t) => {
  const service = await openTestService(t)
  const base = service.url()
  const browser = await openBrowser()
  t.teardown(() => browser.close())

  /** A page of which every request is written down, and everything that the browser complains of. */
  async function openPage(): Promise<{ page: Page; requests: string[]; complaints: string[] }> {
    const page = await browser.newPage({ viewport: { width: 1200, height: 1400 } })
    page.setDefaultTimeout(DEADLINE_MS)
    const requests: string[] = []
    const complaints: string[] = []
    page.on('request', (request) => void requests.push(request.url()))
    page.on('websocket', (socket) => void requests.push(socket.url().replace(/^ws/, 'http')))
    page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
    page.on('pageerror', (error) => void complaints.push(String(error)))
    await page.goto(`${base}/docs`)
    await page.waitForSelector('.opblock')
    return { page, requests, complaints }
  }
  const foreign = (requests: readonly string[]): string[] =>
    requests.filter((url) => !url.startsWith(`${base}/`) && !url.startsWith('data:'))

  await t.test(
    'the page loads, authorises, and tries POST /execute and the events, without another host',
    async (t) => {
      const { page, requests, complaints } = await openPage()
      await page.click('.authorize')
      await page.fill('.auth-container input', service.token)
      await page.click('.auth-btn-wrapper .authorize')
      await page.click('.btn-done')

      /** Fills a form and sends it; the status and the body that the page then shows. */
      async function tryOut(
        operation: string,
        fill: (block: ReturnType<Page['locator']>) => Promise<void>,
      ): Promise<{ status: string; body: string }> {
        const block = page.locator(`[id="operations-${operation}"]`)
        await block.locator('.opblock-summary-control').first().click()
        await fill(block)
        await block.locator('.execute').click()
        const answer = block.locator('.live-responses-table')
        const status = (await answer.locator('.response-col_status').last().textContent()) ?? ''
        return { status: status.trim(), body: (await answer.locator('.highlight-code').first().textContent()) ?? '' }
      }

      // The body that the page offers is one that works.
      const submitted = await tryOut('executions-execute', async (block) => {
        t.same(JSON.parse(await block.locator('textarea.body-param__text').inputValue()), { prompt: 'Say hello' })
      })
      t.match(submitted.status, /^202/)
      const id = /"id": "([0-9a-f-]{36})"/.exec(submitted.body)?.[1] ?? ''
      t.match(submitted.body, /"status": "queued"/)
      await service.finished(id)
      const events = await tryOut('executions-getEvents', (block) =>
        block.locator('tr[data-param-name="id"] input').fill(id),
      )
      t.match(events.status, /^200/)
      t.match(events.body, /"type": "execution\.queued"/)
      t.match(events.body, /"type": "execution\.finished"/)

      await page.reload()
      await page.waitForSelector('.authorization__btn.locked, .authorize.locked')
      t.same(complaints, [], 'no complaint, and nothing that the content security policy refused')
      t.ok(requests.length > 5, 'the requests were seen')
      t.same(foreign(requests), [], 'no request to another host')
      await page.close()
    },
  )

  await t.test('the README’s lines for a browser’s console stream an execution over the WebSocket', async (t) => {
    const [, script = ''] = /```js\n([\s\S]*?)```/.exec(await readFile('README.md', 'utf8')) ?? []
    t.match(script, /new WebSocket/)
    const { page, requests, complaints } = await openPage()
    const said: string[] = []
    const finished = new Promise<void>((resolve) => {
      page.on('console', (message) => {
        said.push(message.text())
        if (message.text().startsWith('execution.finished')) resolve()
      })
    })
    page.on('dialog', (dialog) => void dialog.accept(service.token))
    await page.evaluate(script)
    await finished
    t.same(
      said.slice(0, 3).map((line) => line.split(' ')[0]),
      ['accepted:', 'execution.queued', 'execution.started'],
    )
    t.match(said.at(-1), /"status":"succeeded"/)
    t.same(complaints, [])
    t.same(foreign(requests), [])
    await page.close()
  })

  await t.test('a page of another origin gets no socket', async (t) => {
    const { page } = await openPage()
    // An origin of its own, "null": what any page that is not ours looks like to the service.
    await page.goto('about:blank')
    const how = await page.evaluate(
      ([address, token]) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(`${address}/ws`, ['cc-executor', `bearer.${token}`])
          socket.addEventListener('open', () => resolve('open'))
          socket.addEventListener('close', () => resolve('refused'))
        }),
      [base.replace('http', 'ws'), service.token],
    )
    t.equal(how, 'refused')
    await page.close()
  })
})
