import { spawn } from 'node:child_process'
import { access, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { VERSION } from '../src/platform/version.js'
import { openReadmeService } from './support/readme-service.js'
import { pictureCommands, readBlocks, runBlocks, toComparable, toPrintedPattern } from './support/readme.js'
import { readPicture, toPicture } from './support/terminal-picture.js'
import { once } from './support/deadlines.js'

const readme = await readFile('README.md', 'utf8')
const blocks = readBlocks(readme)

/**
 * Blocks that start the service or the tests: run from a fresh clone by fresh-clone.test.ts, and by whoever runs this.
 */
const STARTS = ['npm start -- --simulate', 'npm test', 'npm run demo', 'npm start -- --simulate --root ~/projects']

/** Linted here as in deployment.test.ts: no Docker engine runs where the tests run. */
const DOCKER = 'cd deployment'

void t.test(
  'every command of the README that asks a running service prints what stands under it, and so does the picture',
  { timeout: 600_000 },
  async (t) => {
    const { home, banner, address, env } = await openReadmeService(t)
    const [, start = ''] = /^```text\n(CC Executor is running[\s\S]*?)^```/m.exec(readme) ?? []
    t.match(`${toComparable(banner, home)}\n`, toPrintedPattern(start), 'the start')

    const asking = blocks.filter(({ commands }) => !commands.startsWith('npm ') && !commands.startsWith(DOCKER))
    const { code, said } = await runBlocks(asking, { address, home, env })
    t.equal(code, 0, said.at(-1) ?? '')
    t.equal(said.length, asking.length)
    for (const [index, { commands, prints }] of asking.entries()) {
      const silent = commands.startsWith('alias ')
      t.equal(prints === undefined, silent, `what it prints stands under ${commands}`)
      if (prints !== undefined) t.match(`${said[index] ?? ''}\n`, toPrintedPattern(prints), commands)
    }
    await t.rejects(access(join(home, '.local/bin/cc-executor')), 'what was linked is unlinked')

    const [, path = ''] = /<img src="([^"]+\.svg)"/.exec(readme) ?? []
    const svg = await readFile(path, 'utf8')
    const lines = readPicture(svg)
    t.ok(toPicture(lines) === svg, 'the picture is as the recorder makes it')
    const shown = lines.map(({ text }) => text)
    const commands = pictureCommands(blocks)
    t.same(
      shown.filter((text) => text.startsWith('$ ')),
      commands.map((command) => `$ ${command}`),
    )
    const printed = asking.flatMap((block, index) => (pictureCommands([block]).length > 0 ? [said[index] ?? ''] : []))
    t.match(
      `${printed.join('\n')}\n`,
      toPrintedPattern(shown.filter((text) => !text.startsWith('$ ')).join('\n')),
      'the picture shows what is printed today: node dist/test/support/record-picture.js makes it again',
    )
  },
)

void t.test('the README’s other commands are those that a fresh clone is tested with', async (t) => {
  const commands = blocks
    .filter(({ commands }) => commands.startsWith('npm '))
    .flatMap(({ commands }) => commands.trim().split('\n'))
    .map((line) => line.replace(/\s+#.*/, ''))
  t.same(commands, STARTS)
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: Record<string, string> }
  for (const [, name = ''] of readme.matchAll(/`npm run (\w+)`/g)) t.ok(scripts[name], `npm run ${name} is there`)
})

void t.test('the README’s commands for Docker are those of deployment/README.md', async (t) => {
  const commands = blocks
    .filter(({ commands }) => commands.startsWith(DOCKER))
    .flatMap(({ commands }) => commands.trim().split('\n'))
  t.ok(commands.length > 1)
  const known = await readFile('deployment/README.md', 'utf8')
  for (const command of commands) t.ok(known.includes(`\n${command}\n`), command)
})

void t.test(
  'npx --prefix runs the checkout from any folder, with an empty home; also when it was asked before the build',
  { timeout: 600_000 },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'cce-npx-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const npx = async (checkout: string, home: string): Promise<{ code: number; said: string }> => {
      await mkdir(join(folder, home), { recursive: true })
      const child = spawn('npx', ['--prefix', checkout, 'cc-executor', '--version'], {
        cwd: folder,
        env: {
          PATH: process.env['PATH'],
          HOME: join(folder, home),
          npm_config_offline: 'true',
          npm_config_update_notifier: 'false',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let said = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
      const [code] = (await once(child, 'close')) as [number]
      return { code, said: said.trim() }
    }
    t.same(await npx(process.cwd(), 'home'), { code: 0, said: VERSION })

    if (process.env['CC_EXECUTOR_TEST_ALL'] === undefined)
      return t.comment('what was asked before the build: only in npm run test:all')
    const fresh = join(folder, 'fresh')
    await mkdir(join(fresh, 'src/setup'), { recursive: true })
    for (const file of ['package.json', 'src/setup/cc-executor.mjs', 'src/setup/cache.mjs'])
      await copyFile(file, join(fresh, file))
    t.same(await npx(fresh, 'other'), {
      code: 1,
      said: `cc-executor: it is not built yet: npm run setup --prefix ${fresh}`,
    })
    await mkdir(join(fresh, 'dist/src/main'), { recursive: true })
    await writeFile(join(fresh, 'dist/src/main/cli.js'), 'console.log(process.argv[2])')
    t.same(await npx(fresh, 'other'), { code: 0, said: '--version' }, 'npx does not remember that there was nothing')
  },
)
