// npm run desktop -- [--out=FOLDER] [--repository=OWNER/NAME] [--unpacked]
//
// The extension for Claude Desktop (deployment/desktop), one file, by the official packer. With --repository also
// server.json for the MCP registry, which says where that file will be: in the release of the version. With --unpacked
// only the folder that is packed, which Claude Desktop takes as well.
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

import { bundleProgram } from './bundle.mjs'
import { checkoutDirectory } from './cache.mjs'
import { SetUpError } from './messages.mjs'
import { runNpm } from './npm.mjs'
import { runProgram } from './run-program.mjs'

export const PACKER = '@anthropic-ai/mcpb@2.1.2'
const PACK_DEADLINE_MS = 300_000
const PROGRAM = 'dist/src/main/desktop.js'
const REGISTRY_SCHEMA = 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json'
/** As GitHub spells them. */
const REPOSITORY = /^[\w.-]+\/[\w.-]+$/

/** @param {string} path */
const readJson = (path) => JSON.parse(readFileSync(join(checkoutDirectory, path), 'utf8'))

/**
 * What is packed: the program with all that it loads, and what describes it.
 *
 * @param {string} folder
 * @param {string} [repository]
 */
export async function writeExtension(folder, repository) {
  const { name, version, license } = readJson('package.json')
  const { TOOLS } = await import(pathToFileURL(join(checkoutDirectory, 'dist/src/protocol/tools.js')).href)
  const manifest = {
    ...readJson('deployment/desktop/manifest.json'),
    version,
    ...(repository === undefined ? {} : { repository: { type: 'git', url: `https://github.com/${repository}` } }),
    tools: Object.entries(TOOLS).map(([tool, { description }]) => ({ name: tool, description })),
  }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
  // The program reads its version there.
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ name, version, license, type: 'module' })}\n`)
  cpSync(join(checkoutDirectory, 'LICENSE'), join(folder, 'LICENSE'))
  await bundleProgram({ entryPoints: [PROGRAM], outdir: join(folder, 'dist/bundle'), isAlone: true })
  return manifest
}

/**
 * @param {{ description: string, display_name: string, version: string,
 *   user_config: Record<string, { description: string, default: string, required: boolean, sensitive?: boolean }>,
 *   server: { mcp_config: { env: Record<string, string> } } }} manifest
 * @param {string} repository
 * @param {{ name: string, sha256: string }} file
 */
export function describeForRegistry(manifest, repository, { name, sha256 }) {
  const [owner = '', project = ''] = repository.split('/')
  const home = `https://github.com/${repository}`
  const variables = Object.entries(manifest.server.mcp_config.env).map(([variable, setting]) => {
    const asked = manifest.user_config[/\.(\w+)\}/.exec(setting)?.[1] ?? '']
    return {
      name: variable,
      description: asked?.description,
      isRequired: asked?.required,
      isSecret: asked?.sensitive === true,
      // None where nothing is a value as well.
      default: asked?.default === '' ? undefined : asked?.default,
    }
  })
  return {
    $schema: REGISTRY_SCHEMA,
    name: `io.github.${owner}/${project}`,
    title: manifest.display_name,
    description: manifest.description,
    version: manifest.version,
    repository: { url: home, source: 'github' },
    packages: [
      {
        registryType: 'mcpb',
        identifier: `${home}/releases/download/v${manifest.version}/${name}`,
        fileSha256: sha256,
        transport: { type: 'stdio' },
        environmentVariables: variables,
      },
    ],
  }
}

/** @param {string[]} args @returns what it said */
export async function runPacker(args) {
  const tools = mkdtempSync(join(tmpdir(), 'cce-packer-'))
  try {
    const install = ['install', '--no-save', '--ignore-scripts', `--prefix=${tools}`, PACKER]
    await runNpm(install, { cwd: tools, deadlineMs: PACK_DEADLINE_MS })
    const program = join(tools, 'node_modules/@anthropic-ai/mcpb/dist/cli/cli.js')
    const { code, output } = await runProgram(process.execPath, [program, ...args], {
      cwd: tools,
      deadlineMs: PACK_DEADLINE_MS,
    })
    if (code !== 0) throw new SetUpError(`the packer failed:\n${output}`)
    return output
  } finally {
    rmSync(tools, { recursive: true, force: true })
  }
}

/** @param {{ out: string, repository?: string }} options @returns {Promise<string[]>} the files that it has made */
export async function makeDesktopBundle({ out, repository }) {
  if (repository !== undefined && !REPOSITORY.test(repository))
    throw new SetUpError(`--repository: expected OWNER/NAME; it is ${repository}`)
  const folder = mkdtempSync(join(tmpdir(), 'cce-desktop-'))
  try {
    const manifest = await writeExtension(folder, repository)
    const name = `${manifest.name}-${manifest.version}.mcpb`
    const file = resolve(out, name)
    mkdirSync(out, { recursive: true })
    rmSync(file, { force: true })
    // It validates before it packs.
    await runPacker(['pack', folder, file])
    const files = [file]
    if (repository !== undefined) {
      const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex')
      const description = describeForRegistry(manifest, repository, { name, sha256 })
      files.push(resolve(out, 'server.json'))
      writeFileSync(resolve(out, 'server.json'), `${JSON.stringify(description, undefined, 2)}\n`)
    }
    return files
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: '.' },
      repository: { type: 'string' },
      unpacked: { type: 'boolean', default: false },
    },
  })
  // Under npm the working directory is the package's; INIT_CWD is where the user stood.
  const out = resolve(process.env.INIT_CWD ?? process.cwd(), values.out)
  try {
    if (values.unpacked) await writeExtension(out, values.repository)
    else for (const file of await makeDesktopBundle({ ...values, out })) console.log(file)
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
