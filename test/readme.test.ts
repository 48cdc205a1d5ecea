import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { VERSION } from '../src/platform/version.js'
import { testEnvironment } from './support/environment.js'

const readme = await readFile('README.md', 'utf8')
const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block)

/**
 * Blocks that start the service or the tests: run from a fresh clone by fresh-clone.test.ts, and by whoever runs this.
 */
const STARTS = ['npm start -- --simulate', 'npm test', 'npm start -- --simulate --root ~/projects']

/** Linted here as in deployment.test.ts: no Docker engine runs where the tests run. */
const DOCKER = 'cd deployment'

void t.test(
  'every command of the README that asks a running service does what it says',
  { timeout: 600_000 },
  async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'cce-readme-'))
    const { CC_EXECUTOR_DATA_DIR: _default, ...environment } = testEnvironment(home)
    const env = {
      ...environment,
      npm_config_offline: 'true',
      npm_config_update_notifier: 'false',
      XDG_CACHE_HOME: join(process.env['HOME'] ?? '/root', '.cache'),
      HOME: home,
    }
    const service = spawn(process.execPath, ['dist/src/main/cli.js', 'start', '--simulate'], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(service, 'exit')
    t.teardown(async () => {
      service.kill('SIGTERM')
      await exited
      await rm(home, { recursive: true, force: true })
    })
    let address = ''
    for await (const line of createInterface({ input: service.stdout })) {
      address = /address\s+http:\/\/(\S+)/.exec(line)?.[1] ?? address
      if (line.includes('Ctrl-C')) break
    }
    t.not(address, '')

    const asking = blocks.filter((block) => !block.startsWith('npm ') && !block.startsWith(DOCKER))
    const script = asking
      .map((block, index) => `echo; echo "== ${index}"\n${block}`)
      .join('\n')
      .replaceAll('localhost:8001', address)
    // The command line finds the service by its port, which is 8001 for the reader.
    const shell = spawn('bash', ['-euo', 'pipefail', '-c', script], {
      env: { ...env, CC_EXECUTOR_PORT: new URL(`http://${address}`).port },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const output: Buffer[] = []
    shell.stdout.on('data', (chunk: Buffer) => output.push(chunk))
    const [code] = await once(shell, 'close')
    t.equal(code, 0)
    const said = Buffer.concat(output)
      .toString()
      .split(/^== \d+\n/m)
      .slice(1)
    t.equal(said.length, asking.length)
    const answerTo = (words: string): string => said[asking.findIndex((block) => block.includes(words))] ?? ''
    t.match(
      answerTo('text/event-stream'),
      /"type":"execution.finished".*"status":"succeeded"/s,
      'the events stream to the end',
    )
    t.match(answerTo('/result'), /simulated/, 'the bare answer')
    t.match(answerTo('events?after=2'), /^\{"events":\[\{"seq":3,/, 'events after a cursor')
    t.match(answerTo('/health/ready'), /"status":"ok"/, 'health')
    t.match(
      answerTo('cli.js run'),
      /^Hello! This answer is simulated.*\n\{"id":.*"status":"succeeded".*"team":"docs".*\n(?:.*\n)*id +[0-9a-f-]{36}\nstatus +succeeded\n(?:.*\n)*[0-9a-f-]{36} succeeded\n/m,
      'the command line',
    )
    t.match(
      answerTo('npm link'),
      /^[0-9a-f-]{36} [\s\S]*^[0-9a-f-]{36} /m,
      'linked into a prefix of one’s own, and by npx',
    )
    await t.rejects(access(join(home, '.local/bin/cc-executor')), 'and unlinked')
    t.match(
      answerTo('batch=night'),
      /^(?:[0-9a-f-]{36}\n){2}(?:[0-9a-f-]{36} {2}succeeded\n){2}0 failed, .*\n.*simulated/m,
      'the nightly batch',
    )
    t.match(answerTo('doctor --simulate'), /^ok {4}port: cc-executor .* runs on/m, 'the doctor')
    t.match(answerTo('cli.js token'), /^[\w-]{43}$/m, 'the token')
  },
)

void t.test('the README’s other commands are those that a fresh clone is tested with', async (t) => {
  const commands = blocks
    .filter((block) => block.startsWith('npm '))
    .flatMap((block) => block.trim().split('\n'))
    .map((line) => line.replace(/\s+#.*/, ''))
  t.same(commands, STARTS)
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: Record<string, string> }
  for (const [, name = ''] of readme.matchAll(/`npm run (\w+)`/g)) t.ok(scripts[name], `npm run ${name} is there`)
})

void t.test('the README’s commands for Docker are those of deployment/README.md', async (t) => {
  const commands = blocks.filter((block) => block.startsWith(DOCKER)).flatMap((block) => block.trim().split('\n'))
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
