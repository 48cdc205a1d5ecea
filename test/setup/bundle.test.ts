// What is started is the bundle of the modules that were built, and of no others.
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises'
import { cpSync, existsSync, realpathSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { makeFolder, type Teardown } from '../support/processes.js'
import { ROOT } from '../support/paths.js'

const BUILD_INFO = 'dist/.tsbuildinfo'
const MADE_OF = 'dist/bundle/made-of'

/** The files of the checkout, as it is or as `root` has it, that a command loads. */
async function listLoaded(t: Teardown, root: string, args: readonly string[]): Promise<string[]> {
  const folder = await makeFolder(t)
  const env = {
    PATH: process.env['PATH'],
    NODE_V8_COVERAGE: join(folder, 'loaded'),
    CC_EXECUTOR_DATA_DIR: folder,
    CC_EXECUTOR_URL: 'http://127.0.0.1:1',
  }
  // Where nothing listens a command that asks the service ends with an error, as it does here.
  await promisify(execFile)(process.execPath, [join(root, 'dist/src/main/cli.js'), ...args], { env }).catch(() => '')
  const [file = ''] = await readdir(join(folder, 'loaded'))
  // Safe: the format of V8's coverage.
  const { result } = JSON.parse(await readFile(join(folder, 'loaded', file), 'utf8')) as { result: { url: string }[] }
  return result
    .filter(({ url }) => url.startsWith('file:'))
    .map(({ url }) => relative(root, fileURLToPath(url)))
    .filter((path) => !path.startsWith('..'))
}

/** A checkout of its own: the same files, and a `dist` of links to them. */
async function makeCheckout(t: Teardown): Promise<string> {
  const root = await makeFolder(t)
  await mkdir(join(root, 'dist'))
  for (const name of ['package.json', 'node_modules']) await symlink(join(ROOT, name), join(root, name))
  for (const name of ['src', 'bundle', '.tsbuildinfo'])
    cpSync(join(ROOT, 'dist', name), join(root, 'dist', name), { recursive: true })
  await writeFile(join(root, MADE_OF), String(statSync(join(root, BUILD_INFO)).mtimeMs))
  return root
}

void t.test('a command is started from the bundle, and loads what it needs', async (t) => {
  const loaded = await listLoaded(t, ROOT, ['list'])
  const modules = loaded.filter((path) => !path.startsWith('dist/bundle/'))
  t.same(modules.sort(), ['dist/src/main/cli.js', 'dist/src/main/lifecycle/memory.js'])
  t.ok(loaded.length > modules.length, 'the rest is in the bundle')
  const text = (await Promise.all(loaded.map((path) => readFile(join(ROOT, path), 'utf8')))).join('\n')
  const sources = [...text.matchAll(/^ *\/\/ (\S+\.js)$/gm)].map(([, path = '']) => path)
  t.ok(sources.includes('dist/src/cli/list.js'), 'above each module stands which it was')
  for (const unwanted of ['node_modules/ioredis', 'node_modules/fastify/', 'node_modules/bullmq', 'dist/src/simulator'])
    t.notOk(
      sources.some((path) => path.startsWith(unwanted)),
      unwanted,
    )
})

void t.test('after another build, or half a bundle, the modules themselves are started', async (t) => {
  const root = await makeCheckout(t)
  const first = await listLoaded(t, root, ['--version'])
  t.ok(first.includes('dist/bundle/program.js'), 'the bundle is of this build')
  const info = join(root, BUILD_INFO)
  const { atime, mtime } = statSync(info)
  await utimes(info, atime, new Date(mtime.getTime() + 5_000))
  const built = await listLoaded(t, root, ['--version'])
  t.ok(built.includes('dist/src/main/program.js'))
  t.notOk(built.some((path) => path.startsWith('dist/bundle/')))
  await writeFile(join(root, MADE_OF), '')
  t.notOk((await listLoaded(t, root, ['--version'])).some((path) => path.startsWith('dist/bundle/')))
})

void t.test('the licences of what is in the bundle stand beside it', async (t) => {
  const text = await readFile(join(ROOT, 'dist/bundle/LICENSES.txt'), 'utf8')
  for (const name of ['fastify', 'bullmq', 'zod', 'ws', 'ioredis'])
    t.match(text, new RegExp(`^${name} [\\d.]+: MIT`, 'm'))
  t.notMatch(text, /: undefined$/m, 'each says which it has')
})

void t.test('what is started finds packages where npm put them, tests in their own bundle', async (t) => {
  const find = (module: string): string => {
    const path = createRequire(join(ROOT, 'dist', module)).resolve('fastify')
    return relative(ROOT, realpathSync(path))
  }
  t.match(find('bundle/program.js'), /^node_modules.fastify./)
  if (existsSync(join(ROOT, 'dist/packages')))
    for (const module of ['src/main/api.js', 'test/setup/bundle.test.js'])
      t.equal(find(module), 'dist/packages/node_modules/fastify/index.js', module)
})
