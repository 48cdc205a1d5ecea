// What npm pack makes, installed in an empty folder and started from there. It takes the registry, so only in npm run
// test:all.
import { execFile } from 'node:child_process'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { installFromNpm } from '../mcp/clients/pinned-clients.js'
import { makeFolder } from '../support/processes.js'
import { ROOT } from '../support/paths.js'
import { startWhole, TOKENS } from './started-service.js'
import { walk } from './walk.js'

const skip = process.env['CC_EXECUTOR_TEST_ALL'] === undefined ? 'only in npm run test:all' : false
const DEADLINE_MS = 10 * 60_000

const PROGRAM = `
import { ClientError, openClient, type Event, type Execution } from 'cc-executor/client'

declare const process: { argv: string[] }
const [url = '', token = ''] = process.argv.slice(2)
const client = openClient({ url, token })
const execution: Execution = await client.execute({ prompt: 'Say hello' })
const show = (event: Event): void => console.log(event.type)
for await (const event of client.follow(execution.id)) show(event)
console.log((await client.result(execution.id)).toLowerCase().includes('hello') ? 'hello' : 'something else')
try {
  await client.get('01890000-0000-7000-8000-000000000000')
} catch (error) {
  if (error instanceof ClientError) console.log(error.code, error.status)
}
client.close()
`

/** What it prints; its whole output in the error where it ends with another code than 0. */
async function program(path: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(path, args, { cwd, timeout: DEADLINE_MS })
    return stdout
  } catch (error) {
    // Safe: execFile's own error has what the program printed.
    const { stdout, stderr } = error as Error & { stdout?: string; stderr?: string }
    throw new Error(`${path} ${args.join(' ')}\n${stdout}\n${stderr}`, { cause: error })
  }
}

void t.test(
  'the packed service, installed in an empty folder, answers all that it documents',
  { skip, timeout: 2 * DEADLINE_MS },
  async (t) => {
    const folder = await makeFolder(t)
    const empty = join(folder, 'empty')
    await mkdir(empty)
    const run = (args: string[], cwd: string) =>
      promisify(execFile)('npm', args, { cwd, timeout: DEADLINE_MS, maxBuffer: 1 << 26 })
    await run(['pack', '--pack-destination', folder], ROOT)
    const [tarball = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'))
    await run(
      [
        'install',
        '--prefix',
        empty,
        '--no-audit',
        '--no-fund',
        '--prefer-offline',
        '--ignore-scripts',
        join(folder, tarball),
      ],
      empty,
    )
    const installed = await readdir(join(empty, 'node_modules', 'cc-executor'), { recursive: true })
    t.same(
      installed.filter((path) => /^(?:test|dist\/test|\.ci|src\/(?!setup))|\.map$|\.env/.test(path)),
      [],
      'no test, no source, no settings of ours',
    )
    const service = await startWhole(t, [join(empty, 'node_modules/.bin/cc-executor'), 'start', '--simulate'], empty)
    await t.test('a start on a machine that has nothing fetches what it needs', async (t) => {
      // The CLI of this machine: it is 400 MB, and test/fresh-clone.test.ts fetches it.
      const claude = join(homedir(), '.cache/cc-executor/bin/claude')
      const more = {
        CC_EXECUTOR_CACHE_DIR: join(folder, 'cache'),
        CC_EXECUTOR_CLAUDE_BIN: process.env['CC_EXECUTOR_CLAUDE_BIN'] ?? claude,
        PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
      }
      const command = [join(empty, 'node_modules/.bin/cc-executor'), 'start', '--simulate']
      const { url } = await startWhole(t, command, empty, more)
      t.equal((await fetch(`${url}/health`)).status, 200)
    })
    await t.test('a program of TypeScript uses the client of the package', async (t) => {
      await writeFile(join(empty, 'package.json'), '{"type":"module"}')
      await writeFile(join(empty, 'program.ts'), PROGRAM)
      // As strict as a program may ask for, without the types of Node.js; by both ways of resolving a package.
      const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, types: [] }
      const common = { ...strict, target: 'es2023', lib: ['es2023', 'dom', 'dom.asynciterable'] }
      for (const how of [
        { module: 'preserve', moduleResolution: 'bundler', noEmit: true },
        { module: 'nodenext', rootDir: '.' },
      ]) {
        const settings = { compilerOptions: { ...common, ...how }, files: ['program.ts'] }
        await writeFile(join(empty, 'tsconfig.json'), JSON.stringify(settings))
        await program(join(ROOT, 'node_modules/.bin/tsc'), ['-p', '.'], empty)
      }
      const output = await program(process.execPath, ['program.js', service.url, TOKENS.all], empty)
      t.match(output, /^execution\.queued\n[^]*execution\.finished\nhello\nEXECUTION_NOT_FOUND 404\n$/)
    })
    await t.test('what checkers of packages say of it', async () => {
      const tools = join(folder, 'tools')
      await mkdir(tools)
      await installFromNpm(tools, ['publint@0.3.25', '@arethetypeswrong/cli@0.18.5'])
      await program(join(tools, 'node_modules/.bin/publint'), ['--strict', join(folder, tarball)], tools)
      // `node10` knows no exports, and no Node.js that we support resolves so; a module of ESM's is one on purpose.
      const rules = ['--ignore-rules', 'no-resolution', 'cjs-resolves-to-esm']
      await program(join(tools, 'node_modules/.bin/attw'), [join(folder, tarball), ...rules], tools)
    })
    await walk(t, service)
  },
)
