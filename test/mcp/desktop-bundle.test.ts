// The extension for Claude Desktop: started as that client starts it. In test:all it goes through the official packer
// and back.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import * as z from 'zod'
import { openTestService } from '../support/service.js'
import { makeFolder } from '../support/processes.js'
import { ROOT, SCRIPTED_CLI } from '../support/paths.js'
import { installFromNpm } from './clients/pinned-clients.js'
import { openMcpFolder } from './harness.js'

const run = promisify(execFile)
const isAll = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined
const skip = isAll ? false : 'only in npm run test:all: the packer from npm'

interface Manifest {
  readonly version: string
  readonly tools: ReadonlyArray<{ readonly name: string; readonly description: string }>
  readonly server: { readonly entry_point: string; readonly mcp_config: Config }
  readonly user_config: Record<string, { readonly default: string; readonly sensitive?: boolean }>
}
interface Config {
  readonly command: string
  readonly args: string[]
  readonly env: Record<string, string>
}
type Settings = Readonly<Record<string, string>>

/**
 * Our own reading of the registry's schema of 2025-12-11, and of what the registry asks of an extension, as far as our
 * entry has it. It is no validation by that schema, which no package of npm has: the registry itself validates an entry
 * when it is published.
 */
const REGISTRY_ENTRY = z.strictObject({
  $schema: z.literal('https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json'),
  name: z
    .string()
    .min(3)
    .max(200)
    .regex(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/),
  title: z.string().min(1).max(100),
  description: z.string().min(1).max(100),
  version: z
    .string()
    .max(255)
    .regex(/^\d+\.\d+\.\d+/),
  repository: z.strictObject({ url: z.url(), source: z.literal('github') }),
  packages: z.tuple([
    z.strictObject({
      registryType: z.literal('mcpb'),
      identifier: z.string().regex(/^https:\/\/github\.com\/[^/]+\/[^/]+\/releases\/download\/.*mcp/),
      fileSha256: z.string().regex(/^[a-f0-9]{64}$/),
      transport: z.strictObject({ type: z.literal('stdio') }),
      environmentVariables: z.array(
        z.strictObject({
          name: z.string(),
          description: z.string(),
          isRequired: z.boolean(),
          isSecret: z.boolean(),
          default: z.string().optional(),
        }),
      ),
    }),
  ]),
})

const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
const make = (...args: string[]): Promise<{ stdout: string }> =>
  run(process.execPath, [join(ROOT, 'src/setup/make-desktop-bundle.mjs'), ...args], { cwd: ROOT })
const readManifest = async (extension: string): Promise<Manifest> =>
  // Safe: what is used of it is looked at below.
  JSON.parse(await readFile(join(extension, 'manifest.json'), 'utf8')) as Manifest

/** What stands in `${…}`, as the client replaces it. */
async function fillIn(extension: string, settings: Settings): Promise<Config> {
  const { server, user_config: asked } = await readManifest(extension)
  const defaults = Object.entries(asked).map(([name, { default: value }]) => [name, value])
  const values: Settings = { ...(Object.fromEntries(defaults) as Settings), ...settings }
  const fill = (text: string): string =>
    text
      .replaceAll('${__dirname}', extension)
      .replaceAll(/\$\{user_config\.(\w+)\}/g, (all, name) => values[name] ?? all)
  const { command, args, env } = server.mcp_config
  const filled = Object.entries(env).map(([name, value]) => [name, fill(value)])
  return { command, args: args.map(fill), env: Object.fromEntries(filled) as Settings }
}

const service = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })

async function tryExtension(
  t: Test,
  extension: string,
  toConfig: (settings: Settings) => Promise<Config> = (settings) => fillIn(extension, settings),
): Promise<void> {
  const { tools } = await readManifest(extension)
  const mcp = await openMcpFolder(t)
  const settings = { url: service.url(), token: service.token }
  const open = async (more: Settings) => mcp.connect(await toConfig({ ...settings, ...more }))

  const { client, call, failures } = await open({})
  t.equal(client.getServerVersion()?.version, version)
  const listed = (await client.listTools()).tools.map(({ name, description }) => ({ name, description }))
  t.same(listed, tools, 'the client shows them before it starts it')
  const { structured, isError, text } = await call('execute', { prompt: 'Say hello', waitSeconds: 40 })
  t.match([isError, structured], [false, { status: 'succeeded', isFinished: true }], text)
  t.notMatch(text, /was lost/, 'it has all that it needs to follow a run')
  t.match(await call('get_executor_status'), { isError: false })
  t.same(failures, [])

  const stranger = await open({ token: 'nobody-0123456789abcdef' })
  t.match(await stranger.call('get_executor_status'), { isError: true, structured: { code: 'UNAUTHENTICATED' } })
  const nowhere = await open({ url: 'http://127.0.0.1:9' })
  t.match(await nowhere.call('get_executor_status'), { isError: true, structured: { code: 'UNREACHABLE' } })
  t.same(await mcp.services(), [], 'it starts no service')
  const { token: _none, ...address } = settings
  const mine = await mcp.connect(await toConfig(address))
  t.match(await mine.call('get_executor_status'), { isError: true }, 'no token is here')
  await mkdir(mcp.dataDir, { recursive: true })
  await writeFile(join(mcp.dataDir, 'token'), `${service.token}\n`, { mode: 0o600 })
  const found = await mcp.connect(await toConfig(address))
  t.match(await found.call('get_executor_status'), { isError: false }, 'that of a service of this machine is found')
}

void t.test('what is packed answers as the client starts it, by its two settings', async (t) => {
  const extension = join(await makeFolder(t), 'extension')
  await make('--unpacked', `--out=${extension}`)
  const manifest = await readManifest(extension)
  t.match(manifest, { version, user_config: { url: { required: true }, token: { sensitive: true } } })
  t.same((await readdir(extension)).sort(), ['LICENSE', 'dist', 'manifest.json', 'package.json'])
  t.match(await readFile(join(extension, 'dist/bundle/LICENSES.txt'), 'utf8'), /^@modelcontextprotocol\/server /m)
  await tryExtension(t, extension)
})

void t.test(
  'the official packer packs and validates it; server.json has what we read of the registry’s schema',
  { skip },
  async (t) => {
    const folder = await makeFolder(t)
    const { stdout } = await make(`--out=${folder}`, '--repository=some-owner/cc-executor')
    const name = `cc-executor-${version}.mcpb`
    t.same(stdout.trim().split('\n'), [join(folder, name), join(folder, 'server.json')])
    const modules = await installFromNpm(join(folder, 'packer'), ['@anthropic-ai/mcpb@2.1.2'])
    const packer = (...args: string[]) =>
      run(process.execPath, [join(modules, '@anthropic-ai/mcpb/dist/cli/cli.js'), ...args], { cwd: folder })
    const extension = join(folder, 'unpacked')
    await packer('unpack', name, extension)
    t.match((await packer('validate', join(extension, 'manifest.json'))).stdout, 'Manifest schema validation passes!')
    await tryExtension(t, extension, async (settings) => {
      // The packer's own way from a manifest and a user's settings to what is started.
      const program = `
      import { getMcpConfigForManifest } from '${join(modules, '@anthropic-ai/mcpb/dist/node.js')}'
      const [extensionPath, userConfig, manifest] = process.argv.slice(1)
      const options = { extensionPath, systemDirs: {}, pathSeparator: '/' }
      const filled = { ...options, manifest: JSON.parse(manifest), userConfig: JSON.parse(userConfig) }
      console.log(JSON.stringify(await getMcpConfigForManifest(filled)))`
      const args = ['--input-type=module', '-e', program, extension, JSON.stringify(settings)]
      const { stdout } = await run(process.execPath, [...args, JSON.stringify(await readManifest(extension))])
      return JSON.parse(stdout) as Config
    })

    const described = REGISTRY_ENTRY.parse(JSON.parse(await readFile(join(folder, 'server.json'), 'utf8')))
    const sha256 = createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex')
    t.match(described, {
      name: 'io.github.some-owner/cc-executor',
      version,
      packages: [
        {
          identifier: `https://github.com/some-owner/cc-executor/releases/download/v${version}/${name}`,
          fileSha256: sha256,
          environmentVariables: [
            { name: 'CC_EXECUTOR_URL', isRequired: true, isSecret: false, default: 'http://127.0.0.1:8001' },
            { name: 'CC_EXECUTOR_TOKEN', isRequired: false, isSecret: true },
          ],
        },
      ],
    })
  },
)

void t.test('a repository that is none is refused', async (t) => {
  await t.rejects(make('--repository=cc-executor'), /--repository: expected OWNER\/NAME/)
})
