// `npm run dev`: in a checkout of its own, since it compiles into `dist`.
import { spawn } from 'node:child_process'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { ROOT } from '../support/paths.js'
import { describe, listMentioning, makeFolder } from '../support/processes.js'
import { eventually, until } from '../support/deadlines.js'

const TEST_ALL = process.env.CC_EXECUTOR_TEST_ALL === '1'
const COPIED = ['src', 'plugins', 'routes', 'workers', 'openapi', 'test/bench', 'test/support', 'dist']
/** Two compilations of everything, on a busy machine too. */
const DEADLINE_MS = 240_000
const FILES = ['package.json', 'tsconfig.json', 'tsconfig.build.json']

void t.test(
  'a change of a source starts the service again, one that does not compile leaves it alone, Ctrl-C ends all',
  { skip: !TEST_ALL && 'compiles everything; part of test:all' },
  async (t) => {
    const folder = await makeFolder(t)
    const checkout = join(folder, 'checkout')
    await mkdir(join(checkout, 'test'), { recursive: true })
    for (const name of [...COPIED, ...FILES]) await cp(join(ROOT, name), join(checkout, name), { recursive: true })
    await symlink(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))
    const dev = spawn(process.execPath, ['src/setup/run-dev.mjs', '--simulate'], {
      cwd: checkout,
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        HOME: folder,
        CC_EXECUTOR_DATA_DIR: join(folder, 'data'),
        CC_EXECUTOR_PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const lines: string[] = []
    for (const stream of [dev.stdout, dev.stderr])
      createInterface({ input: stream }).on('line', (line) => lines.push(line))
    t.teardown(() => dev.kill('SIGTERM'))
    const ended = eventually(dev, 'exit')
    const seen = (condition: () => boolean, what: string): Promise<unknown> =>
      Promise.race([
        until(condition, what, DEADLINE_MS),
        ended.then(() => {
          throw new Error(`it ended: ${lines.join('\n')}`)
        }),
      ])
    const count = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length
    await seen(() => count(/Ctrl-C stops it/) === 1, 'the first start')

    const source = join(checkout, 'src/main/terminal/banner.ts')
    const before = await readFile(source, 'utf8')
    await writeFile(source, `${before}\nexport const broken: number = 'no'\n`)
    await seen(() => count(/dev: 1 errors/) === 1, 'its error')
    t.equal(count(/dev: starting/), 1, 'the service of before keeps running')

    await writeFile(source, `${before}\nexport const changed = 1\n`)
    await seen(() => count(/Ctrl-C stops it/) === 2, 'the second start')
    t.equal(count(/dev: starting/), 2)
    const addresses = lines.flatMap((line) => /address +(\S+)/.exec(line)?.[1] ?? [])
    const [old, current] = await Promise.all(
      addresses.map((address) =>
        fetch(`${address}/health`).then(
          ({ status }) => status,
          () => 'gone',
        ),
      ),
    )
    t.match([old, current], ['gone', 200], lines.join('\n'))

    dev.kill('SIGINT')
    await ended
    t.same(describe(listMentioning(folder)), [], 'nothing is left')
  },
)
