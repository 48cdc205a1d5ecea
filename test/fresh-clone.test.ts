// A newcomer's first five minutes on a fresh machine, by the README's own text: a clone, an empty home, no Redis given.
// Takes minutes and the network, so only in npm run test:all.
import { execFile, spawn } from 'node:child_process'
import { chmod, copyFile, mkdir, readFile } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { describe, listMentioning, makeFolder, tryKill } from './support/processes.js'
import { ROOT } from './support/paths.js'
import { readBlocks, runBlocks, toComparable, toPrintedPattern, type ReadmeBlock } from './support/readme.js'
import { eventually, until } from './support/deadlines.js'

/** nobody */
const ORDINARY_USER = '65534'
const DEADLINE_MS = 15 * 60_000
const isRoot = process.getuid?.() === 0
const run = promisify(execFile)

/** What a machine needs to reach the registry. */
const PASSED = /^(?:PATH|LANG|.*_PROXY|.*_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR)|npm_config_registry)$/
/** Given where there is one: it would be a download of 250 MB. */
const CLAUDE = process.env['CC_EXECUTOR_CLAUDE_BIN']

async function clone(t: Test, user: string | undefined) {
  const folder = await makeFolder(t)
  const [checkout, home] = [join(folder, 'checkout'), join(folder, 'home')]
  await run('git', ['clone', '--quiet', '--no-hardlinks', ROOT, checkout])
  await mkdir(home)
  await chmod(folder, 0o755)
  // A copy, as the cache may lie in a home that is closed to others.
  const claude = CLAUDE === undefined ? {} : { CC_EXECUTOR_CLAUDE_BIN: join(folder, 'claude') }
  if (CLAUDE !== undefined) await copyFile(CLAUDE, join(folder, 'claude'))
  if (user !== undefined) await run('chown', ['-R', `${user}:${user}`, folder])
  const prefix = user === undefined ? [] : ['setpriv', '--reuid', user, '--regid', user, '--clear-groups']
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED.test(name))),
    HOME: home,
    CC_EXECUTOR_PORT: '0',
    ...claude,
  }
  const toCommand = (command: string[]): [string, string[]] => {
    const [file = '', ...args] = [...prefix, ...command]
    return [file, args]
  }
  return {
    folder,
    home,
    checkout,
    env,
    prefix,
    execute: (command: string[]) =>
      run(...toCommand(command), { cwd: checkout, env, timeout: DEADLINE_MS, maxBuffer: 1 << 26 }),
    spawn: (command: string[]) =>
      spawn(...toCommand(command), { cwd: checkout, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] }),
  }
}

const skip = process.env['CC_EXECUTOR_TEST_ALL'] === undefined ? 'only in npm run test:all' : false

/** What a newcomer is told until the run is verified: the two commands, one request, the first five minutes. */
const readFirstSteps = (readme: string): ReadmeBlock[] =>
  readBlocks(readme.slice(0, readme.indexOf('\n## From the command line')))
const MINUTES = 5

for (const user of isRoot ? [undefined, ORDINARY_USER] : [undefined]) {
  void t.test(
    `from a clone to a run that is watched and verified, as README.md tells it, as ${user === undefined ? 'whoever runs the tests' : 'an ordinary user'}`,
    { skip, timeout: 2 * DEADLINE_MS },
    async (t) => {
      const isQuiet = (loadavg()[0] ?? 0) < availableParallelism()
      const begunAt = performance.now()
      const fresh = await clone(t, user)
      t.teardown(() => {
        for (const { pid } of listMentioning(fresh.folder)) tryKill(pid)
      })
      const steps = readFirstSteps(await readFile(join(fresh.checkout, 'README.md'), 'utf8'))
      const [first, ...others] = steps
      const [command = ''] = first?.commands.split('\n') ?? []
      t.match(command, 'npm start')
      const start = fresh.spawn(['bash', '-c', command])
      const exited = eventually(start, 'exit')
      let [banner, said] = ['', '']
      start.stdout.on('data', (chunk: Buffer) => (banner += chunk.toString()))
      start.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
      await until(() => banner.includes('Ctrl-C stops it') || start.exitCode !== null, 'it serves', DEADLINE_MS)
      t.match(said, /^set-up 1\/\d: installing dependencies \(npm ci\) … done in \d+ s$/m)
      const url = /address +(http\S+)/.exec(banner)?.[1] ?? ''
      t.equal((await fetch(`${url}/health/ready`)).status, 200)

      const asking = others.filter(({ commands }) => !commands.startsWith('npm '))
      const { code, said: printed } = await runBlocks(asking, {
        address: new URL(url).host,
        home: fresh.home,
        env: fresh.env,
        cwd: fresh.checkout,
        as: fresh.prefix,
      })
      const minutes = (performance.now() - begunAt) / 60_000
      t.equal(code, 0, printed.at(-1) ?? '')
      for (const [index, { commands, prints = '' }] of asking.entries())
        t.match(`${printed[index] ?? ''}\n`, prints === '' ? /^\n$/ : toPrintedPattern(prints), commands)
      t.ok(
        asking.some(({ commands }) => /^cc-executor verify/m.test(commands)),
        'it ends with a receipt that is verified',
      )
      const took = `${minutes.toFixed(1)} minutes from the clone to the verified run`
      if (isQuiet) t.ok(minutes < MINUTES, took)
      else t.comment(`${took}; the machine had other work`)

      // As a terminal does: npm and the server are in one group.
      process.kill(-(start.pid ?? 0), 'SIGINT')
      t.same(await exited, [0, null])
      await until(() => listMentioning(fresh.folder).length === 0, 'all are gone').catch(() => undefined)
      t.same(describe(listMentioning(fresh.folder)), [], 'nothing is left')

      const demo = await fresh.execute(['npm', 'run', 'demo'])
      const prints = steps.find(({ commands }) => commands === 'npm run demo\n')?.prints ?? 'nothing'
      t.match(`${toComparable(demo.stdout)}\n`, toPrintedPattern(prints), 'the demo prints what the README says')
      t.match(demo.stdout, /Its signed receipt:\n\n {2}# /)
      t.same(describe(listMentioning(fresh.folder)), [], 'the demo leaves nothing behind')

      const timed = async (...words: string[]): Promise<number> => {
        const startedAt = performance.now()
        await fresh.execute(words)
        return performance.now() - startedAt
      }
      const bareMs = await timed('node', '--eval', '')
      const setUpMs = await timed('node', 'src/setup/set-up.mjs')
      t.ok(setUpMs < 20 * bareMs, `set-up with nothing to do: ${Math.round(setUpMs)} ms, Node alone ${bareMs}`)
    },
  )
}
