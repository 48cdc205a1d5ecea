// The console as it is served, and in a browser: the main way through it, once, with the real CLI and the simulator.
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import t from 'tap'
import { noChromium, openBrowser } from '../support/browser.js'
import { openTestService } from '../support/service.js'
import { ROOT } from '../support/paths.js'

const DEADLINE_MS = 60_000
const FIRST_LOAD_BYTES = 300_000
/** After `tsc` alone there is no page; set-up and `npm run build` make it. */
const noPage = existsSync(join(ROOT, 'dist/console/index.html')) ? false : 'the console is not built here'

const withScript = (text: string, steps: readonly unknown[]): string =>
  `${text}\n\n\`\`\`simulate\n${JSON.stringify(steps)}\n\`\`\``

void t.test('the console', { skip: noPage, timeout: 5 * DEADLINE_MS }, async (t) => {
  const service = await openTestService(t)
  const base = service.url()

  await t.test('its files are open, small, and let nothing foreign or inline run', async (t) => {
    const open = (path: string, headers: Record<string, string> = {}) =>
      fetch(`${base}${path}`, { redirect: 'manual', headers })
    const moved = await open('/console')
    t.equal(moved.headers.get('location'), './console/')
    const page = await open('/console/')
    const html = await page.text()
    t.equal(page.status, 200)
    t.equal(page.headers.get('cache-control'), 'no-cache')
    const policy = page.headers.get('content-security-policy') ?? ''
    t.match(policy, "default-src 'none'")
    t.notMatch(policy, /unsafe|https?:|\*/)
    t.notMatch(html, /<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?:/, 'nothing inline, nobody else’s address')
    const names = [...html.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, name = '']) => name)
    t.ok(names.length >= 3)
    const files = await Promise.all(names.map((name) => open(`/console/${name}`)))
    for (const file of files) {
      t.equal(file.status, 200)
      t.match(file.headers.get('cache-control'), 'immutable')
    }
    const bytes = await Promise.all(files.map(async (file) => gzipSync(Buffer.from(await file.arrayBuffer())).length))
    t.ok(bytes.reduce((sum, size) => sum + size) < FIRST_LOAD_BYTES, `first load: ${bytes.join(', ')} bytes compressed`)
    // With every page and the chart: whatever is opened first, less than that is loaded.
    const all = await readdir(join(ROOT, 'dist/console/assets'))
    const whole = await Promise.all(
      all.map(async (name) => gzipSync(await readFile(join(ROOT, 'dist/console/assets', name))).length),
    )
    const sum = whole.reduce((total, size) => total + size)
    t.ok(sum < FIRST_LOAD_BYTES, `all files: ${sum} bytes compressed`)
    const etag = page.headers.get('etag') ?? ''
    t.equal((await open('/console/', { 'if-none-match': etag })).status, 304)
    for (const path of ['/console/nothing.js', '/console/..%2f..%2fpackage.json', '/console/made-of'])
      t.equal((await open(path)).status, 404, path)
  })

  await t.test('in a browser', { skip: noChromium }, async (t) => {
    const browser = await openBrowser()
    t.teardown(() => browser.close())
    const context = await browser.newContext()
    const page = await context.newPage()
    page.setDefaultTimeout(DEADLINE_MS)
    const complaints: string[] = []
    const sockets: string[] = []
    page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
    page.on('pageerror', (error) => void complaints.push(String(error)))
    page.on('request', (request) => {
      if (!request.url().startsWith(`${base}/`) && !/^(?:data|blob):/.test(request.url()))
        complaints.push(`a request to ${request.url()}`)
    })
    page.on('websocket', (socket) => void sockets.push(socket.url()))

    await enterToken(page, base, service.token)
    // What was asked without a token was refused, and the browser says so.
    t.ok(
      complaints.every((line) => line.includes('401')),
      complaints.join('\n'),
    )
    complaints.length = 0

    await page.getByRole('link', { name: 'New execution' }).first().click()
    const steps = [
      { text: 'I write **one** file.', chunks: 3 },
      { tool: 'Write', input: { file_path: '${cwd}/a.txt', content: 'alpha\n' } },
      { tool: 'Bash', input: { command: 'git init -q', description: 'Make a repository' } },
      { text: 'All done.' },
    ]
    await page.getByLabel('Prompt', { exact: true }).fill(withScript('Write a file', steps))
    await page.getByLabel('Permission mode').selectOption('acceptEdits')
    await page.getByRole('button', { name: 'Run' }).click()
    await page.getByRole('heading', { name: 'Write a file' }).waitFor()
    await page.locator('.answer strong', { hasText: 'one' }).waitFor()
    await page.locator('.diff-line.added', { hasText: 'alpha' }).waitFor()
    await page.getByText('waits for you').waitFor()

    // The decision, by the keyboard alone.
    await page.getByRole('link', { name: /Waiting for you/ }).click()
    await page.getByRole('article').getByText('git init -q').waitFor()
    await page.keyboard.press('j')
    await page.keyboard.press('a')
    await page.getByText('Nothing waits for you').waitFor()
    await page.goBack()
    await page.locator('.end-succeeded').waitFor()
    await page.getByText('Allowed by').waitFor()

    const before = sockets.length
    await page.reload()
    await page.locator('.end-succeeded').waitFor()
    t.equal(sockets.length - before, 1, 'one socket, and the same conversation')
    t.equal(await page.locator('.tool').count(), 2)

    await page.getByRole('tab', { name: 'Evidence' }).click()
    await page.getByRole('button', { name: 'Verify' }).click()
    await page.getByText('Everything matches').waitFor()
    await page.getByText('checked by this browser').waitFor()
    await page.getByRole('tab', { name: 'Files' }).click()
    await page.locator('.file-view .output', { hasText: 'alpha' }).waitFor()
    t.same(complaints, [], 'no complaint, and nothing that the content security policy refused')
  })
})

async function enterToken(page: Page, base: string, token: string): Promise<void> {
  await page.goto(`${base}/console/`)
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Connect' }).click()
  await page.getByText('No executions yet').waitFor()
}
