// openapi.json in the hands of the tools that people have: checkers, generators of clients and a mock server, pinned,
// from npm in test:all. What they find is put right where the document is made.
import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { installFromNpm } from './mcp/clients/pinned-clients.js'
import { ROOT } from './support/paths.js'

const DOCUMENT = join(ROOT, 'openapi/openapi.json')
/** The newest of each that runs on the oldest Node that we support. */
const PACKAGES = {
  redocly: '@redocly/cli@2.77.0',
  spectral: '@stoplight/spectral-cli@6.16.3',
  parser: '@apidevtools/swagger-parser@12.1.0',
  openapiTypescript: 'openapi-typescript@7.13.0',
  heyApi: '@hey-api/openapi-ts@0.94.5',
  orval: 'orval@7.21.0',
  prism: '@stoplight/prism-cli@5.14.2',
  typescript: 'typescript@5.9.3',
}
const TOOL_MS = 120_000

interface Place {
  readonly folder: string
  run(program: string, ...args: string[]): Promise<string>
}

/** What it prints; where it ends with another code than 0 that is in the error. */
async function install(t: Test, ...packages: string[]): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'cce-openapi-'))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  await installFromNpm(folder, packages)
  return {
    folder,
    async run(program, ...args) {
      const { stdout, stderr } = await promisify(execFile)(
        join(folder, 'node_modules/.bin', program),
        args,
        // Nothing of a tool reaches beyond this machine.
        {
          cwd: folder,
          timeout: TOOL_MS,
          env: {
            PATH: process.env['PATH'],
            HOME: folder,
            HTTP_PROXY: 'http://127.0.0.1:9',
            HTTPS_PROXY: 'http://127.0.0.1:9',
          },
        },
      ).catch((error: Error & { stdout?: string; stderr?: string }) => {
        throw new Error(`${program}: ${error.stdout}\n${error.stderr}`, { cause: error })
      })
      return stdout + stderr
    },
  }
}

/** A request with something to do is one, and a request with nothing is none. */
async function checkTypes(place: Place, from: string, type: string): Promise<void> {
  const use = [
    `import type { ${type} } from '${from}'`,
    `type Request = ${type}${type === 'components' ? "['schemas']['ExecuteRequest']" : ''}`,
    "export const prompt: Request = { prompt: 'x', timeoutSeconds: 5 }",
    "export const command: Request = { command: 'claude -p x' }",
    "export const list: Request = { tasks: [{ prompt: 'x' }] }",
    '// @ts-expect-error nothing to do',
    'export const nothing: Request = {}',
    '// @ts-expect-error nothing to do either',
    "export const settings: Request = { model: 'opus' }",
  ]
  await writeFile(join(place.folder, 'use.ts'), use.join('\n'))
  const options = ['--strict', '--noEmit', '--skipLibCheck', '--target', 'es2022', '--lib', 'es2023,dom']
  await place.run('tsc', ...options, '--module', 'nodenext', 'use.ts')
}

void t.test('where exactly one member is wanted, each choice names it', async (t) => {
  const document = JSON.parse(await readFile(DOCUMENT, 'utf8'))
  const { oneOf } = document.components.schemas.ExecuteRequest
  t.same(
    oneOf.map(({ properties, required }: Record<string, object>) => [Object.keys(properties ?? {}), required]),
    ['prompt', 'command', 'tasks'].map((name) => [[name], [name]]),
  )
})

async function findObstacle(): Promise<string | false> {
  if (process.env['CC_EXECUTOR_TEST_ALL'] !== '1') return 'only in npm run test:all: seven tools from npm'
  return promisify(execFile)('npm', ['ping'], { timeout: 20_000 }).then(
    () => false as const,
    () => 'npm’s registry cannot be reached',
  )
}

void t.test('each tool, as npm has it', { skip: await findObstacle(), timeout: 900_000 }, async (t) => {
  await t.test('redocly', async (t) => {
    const place = await install(t, PACKAGES.redocly)
    // A probe’s answers are its own; none of them is a client’s fault.
    const config = 'extends: [recommended]\nrules:\n  operation-4xx-response: off\n'
    await writeFile(join(place.folder, 'redocly.yaml'), config)
    const said = await place.run('redocly', 'lint', '--config=redocly.yaml', '--format=json', DOCUMENT)
    t.match(said, /"warnings": 0,/, said)
  })
  await t.test('spectral', async (t) => {
    const place = await install(t, PACKAGES.spectral)
    await writeFile(join(place.folder, 'rules.yaml'), 'extends: ["spectral:oas"]\n')
    t.match(await place.run('spectral', 'lint', '-r', 'rules.yaml', '--fail-severity=hint', DOCUMENT), /No results/)
  })
  await t.test('swagger-parser', async (t) => {
    const place = await install(t, PACKAGES.parser)
    const script = `import parser from '@apidevtools/swagger-parser'\nawait parser.validate(${JSON.stringify(DOCUMENT)})\n`
    await writeFile(join(place.folder, 'validate.mjs'), script)
    await promisify(execFile)(process.execPath, ['validate.mjs'], { cwd: place.folder, timeout: TOOL_MS })
  })
  await t.test('openapi-typescript', async (t) => {
    const place = await install(t, PACKAGES.openapiTypescript, PACKAGES.typescript)
    await place.run('openapi-typescript', DOCUMENT, '-o', 'api.ts')
    await checkTypes(place, './api.js', 'components')
  })
  await t.test('hey-api', async (t) => {
    const place = await install(t, PACKAGES.heyApi, PACKAGES.typescript)
    await place.run('openapi-ts', '-i', DOCUMENT, '-o', 'api', '-p', '@hey-api/typescript')
    await checkTypes(place, './api/types.gen.js', 'ExecuteRequest')
  })
  await t.test('orval', async (t) => {
    const place = await install(t, PACKAGES.orval, PACKAGES.typescript)
    await place.run('orval', '--input', DOCUMENT, '--output', 'api.ts', '--client', 'fetch')
    await checkTypes(place, './api.js', 'ExecuteRequest')
  })
  await t.test('Prism', async (t) => {
    const place = await install(t, PACKAGES.prism)
    await mkdir(join(place.folder, 'home'))
    const child = spawn(
      process.execPath,
      [join(place.folder, 'node_modules/.bin/prism'), 'mock', '--host=127.0.0.1', '--port=0', DOCUMENT],
      { env: { PATH: process.env['PATH'], HOME: join(place.folder, 'home') }, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    t.teardown(() => void child.kill('SIGKILL'))
    const url = await new Promise<string>((resolve, reject) => {
      let said = ''
      const timer = setTimeout(() => reject(new Error(said)), TOOL_MS)
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (chunk: string) => {
          said += chunk
          const found = /listening on (http:\S+)/.exec(said)
          if (!found?.[1]) return
          clearTimeout(timer)
          resolve(found[1])
        })
    })
    const execute = (body: object) =>
      fetch(`${url}/execute`, {
        method: 'POST',
        headers: { authorization: 'Bearer x', 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(TOOL_MS),
      })
    const taken = await execute({ prompt: 'x' })
    t.ok(taken.ok, String(taken.status))
    t.notOk(taken.headers.get('sl-violations'), 'what it makes up by the document is right by the document')
    t.equal((await execute({})).status, 422)
  })
})
