// What one does in the console beside watching a run: searching, selecting, schedules, webhooks, settings, git.
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t from 'tap'
import { commands, git, makeRepository } from '../repositories/scene.js'
import { noBrowser, openBrowser } from '../support/browser.js'
import { DEADLINE_MS, repeat } from '../support/deadlines.js'
import { ROOT } from '../support/paths.js'
import { openTestService } from '../support/service.js'

const skip = noBrowser || (existsSync(join(ROOT, 'dist/console/index.html')) ? false : 'the console is not built here')

void t.test('the pages of the console', { skip, timeout: 3 * DEADLINE_MS }, async (t) => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-console-')))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const origin = join(folder, 'origin')
  const base = await makeRepository(origin, { 'README.md': 'hello\n' })
  const service = await openTestService(t, {
    env: {
      CC_EXECUTOR_ALLOWED_ROOTS: folder,
      CC_EXECUTOR_REPOSITORIES: `${folder}/*`,
      CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS: 'true',
      CC_EXECUTOR_PERMISSION_MODE: 'bypassPermissions',
    },
  })
  const browser = await openBrowser()
  t.teardown(() => browser.close())
  const open = async (path: string): Promise<Page> => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 }, acceptDownloads: true })
    page.setDefaultTimeout(DEADLINE_MS)
    // What cannot be undone is asked for; here it is wanted.
    page.on('dialog', (dialog) => void dialog.accept())
    await page.goto(`${service.url()}/console/#/${path}?token=${service.token}`)
    await page.locator('h1').first().waitFor()
    return page
  }
  const shown = async (what: string, get: () => Promise<unknown>, wanted: unknown): Promise<void> => {
    await repeat(async () => (JSON.stringify(await get()) === JSON.stringify(wanted) ? true : undefined), what)
    t.pass(what)
  }

  await t.test('a schedule is made, changed, paused, run and removed', async (t) => {
    const page = await open('schedules')
    const schedules = async () => (await service.call('GET', '/schedules')).body.schedules
    await page.getByText('No schedules').waitFor()
    await page.getByRole('button', { name: 'New schedule' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('nightly')
    await dialog.getByRole('textbox', { name: /^Cron line/ }).fill('61 3 * * *')
    await dialog.getByLabel('Prompt', { exact: true }).fill('Say hello')
    await dialog.getByRole('button', { name: 'Make the schedule' }).click()
    await dialog.getByRole('alert').waitFor()
    t.match(await dialog.getByRole('alert').textContent(), 'cron', 'what is wrong is named, and the form stays')
    await dialog.getByRole('textbox', { name: /^Cron line/ }).fill('0 3 * * *')
    await dialog.getByLabel('Other fields').fill('{"maxTurns": 2, "priority": "low"}')
    await dialog.getByRole('button', { name: 'Make the schedule' }).click()
    const card = page.getByRole('article', { name: 'nightly' })
    await card.getByRole('button', { name: 'Edit' }).click()
    await dialog.getByLabel('When').selectOption('every')
    await dialog.getByRole('spinbutton', { name: 'Seconds' }).fill('7200')
    await dialog.getByLabel('Other fields').fill('{"priority": "low"}')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await card.getByText('every 7200 s').waitFor()
    const [changed] = await schedules()
    t.match(changed, { everySeconds: 7_200, request: { prompt: 'Say hello', priority: 'low' } })
    t.same([changed.cron, changed.request.maxTurns], [undefined, undefined], 'what was taken out is gone')
    await card.getByRole('switch', { name: 'Enabled' }).click()
    await shown('it is paused', async () => (await schedules())[0].enabled, false)
    await card.getByRole('button', { name: 'Run now' }).click()
    await page.getByRole('heading', { name: 'Say hello' }).waitFor()
    await page.goBack()
    await card.getByRole('button', { name: 'Remove' }).click()
    await page.getByText('No schedules').waitFor()
    await page.close()
  })

  await t.test('a webhook is made, changed, tested, and deleted', async (t) => {
    const page = await open('webhooks')
    const webhooks = async () => (await service.call('GET', '/webhooks')).body.webhooks
    await page.getByRole('button', { name: 'New webhook' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('URL').fill('https://hooks.invalid/claude')
    await dialog.getByRole('textbox', { name: /^Events/ }).fill('execution.finished, approval.requested')
    await dialog.getByRole('button', { name: 'Make the webhook' }).click()
    t.match(await dialog.locator('pre').textContent(), /^whsec_/, 'its secret is shown, once')
    await dialog.getByRole('button', { name: 'Close' }).click()
    const card = page.getByRole('article', { name: 'https://hooks.invalid/claude' })
    await card.getByRole('button', { name: 'Edit' }).click()
    await dialog.getByRole('textbox', { name: /^Events/ }).fill('')
    await dialog.getByLabel('Description').fill('The build')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await card.getByText('The build').waitFor()
    t.match((await webhooks())[0], { events: ['*'], description: 'The build' })
    await card.getByRole('button', { name: 'New secret' }).click()
    t.match(await dialog.locator('pre').textContent(), /^whsec_/)
    await dialog.getByRole('button', { name: 'Close' }).click()
    await card.getByRole('button', { name: 'Send a test' }).click()
    await card.getByRole('cell', { name: 'webhook.test' }).waitFor()
    await card.getByRole('button', { name: 'Delete' }).click()
    await page.getByText('No webhooks').waitFor()
    await page.close()
  })

  await t.test('what a run has left in git is on its page', async (t) => {
    const { id } = await service.submit({
      prompt: commands('echo more >> README.md'),
      repository: { url: origin, ref: 'main', push: 'always', branch: 'fix/readme' },
    })
    const { outcome } = await service.finished(id)
    const head = outcome?.repository?.headCommit ?? ''
    t.equal(await git(origin, 'rev-parse', 'fix/readme'), head)
    const page = await open(`executions/${id}`)
    const card = page.getByRole('region', { name: 'Repository' })
    for (const text of [base.slice(0, 12), head.slice(0, 12), 'fix/readme', '1 commit, 1 file'])
      await card.getByText(text).first().waitFor()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      card.getByRole('button', { name: 'Download patch' }).click(),
    ])
    t.match(await readFile(await download.path(), 'utf8'), /^From [\s\S]*\n\+more\n/)
    await page.close()
  })

  await t.test('the service looks for text, and rows are selected one by one', async (t) => {
    for (const prompt of ['Paint the fence', 'Feed the cat', 'Feed the dog']) await service.submit({ prompt })
    const page = await open('executions')
    await page.getByRole('link', { name: 'Paint the fence' }).waitFor()
    await page.getByLabel('Text of the prompt').fill('fEED')
    await page.getByRole('link', { name: 'Paint the fence' }).waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'Feed the cat' }).waitFor()
    const boxes = page.locator('.table-body').getByRole('checkbox')
    await boxes.nth(0).check()
    await boxes.nth(1).check()
    await page.getByText('2 selected').waitFor()
    await page.getByLabel('Text of the prompt').fill('no such text')
    await page.getByText('Nothing matches these filters').waitFor()
    await page.close()
    t.pass('a row that is chosen leaves the others as they are')
  })

  await t.test('a look at the curl line submits nothing, and what is typed stays', async (t) => {
    const count = async () => (await service.call('GET', '/executions?limit=200')).body.executions.length
    const before = await count()
    const page = await open('new')
    await page.getByLabel('Prompt', { exact: true }).fill('Look only')
    for (const name of ['As curl', 'As JSON']) {
      await page.getByRole('button', { name }).click()
      await page.getByRole('dialog').getByText('Look only').waitFor()
      await page.getByRole('button', { name: 'Close' }).click()
      await page.getByRole('dialog').waitFor({ state: 'detached' })
    }
    t.match(page.url(), '#/new')
    t.equal(await count(), before)
    // The form of an earlier request is there once that has been read, however long it takes.
    const { id } = await service.submit({ prompt: 'The first way' })
    await service.finished(id)
    let answer = (): void => undefined
    const held = new Promise<void>((resolve) => (answer = resolve))
    await page.route(new RegExp(`/executions/${id}$`), async (route) => {
      await held
      await route.continue()
    })
    await page.goto(`${service.url()}/console/#/new?fork=${id}`)
    await page.getByText('Loading…').waitFor()
    t.equal(await page.locator('textarea').count(), 0)
    answer()
    await page.locator('textarea.prompt').fill('Another way')
    await page.getByRole('button', { name: 'Run' }).click()
    await page.getByRole('heading', { name: 'Another way' }).waitFor()
    await page.close()
  })

  await t.test('settings in force stand with their origin, and no secret', async (t) => {
    const page = await open('settings')
    const row = page.getByRole('row', { name: /CC_EXECUTOR_ALLOWED_ROOTS/ })
    t.match(await row.textContent(), /environment/)
    t.match(await row.textContent(), folder)
    await page.getByLabel('Name or description').fill('CC_EXECUTOR_PERMISSION_MODE')
    t.match(await page.locator('tbody tr').allTextContents(), [/bypassPermissions/])
    t.notMatch(await page.content(), new RegExp(`>${service.token}<`))
    await page.close()
  })
})
