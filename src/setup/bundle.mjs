import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { checkoutDirectory } from './cache.mjs'
import { SetUpError } from './messages.mjs'

const BUNDLE = 'dist/bundle'
/** What src/main/cli.ts compares: the bundle is of the modules that this build left. */
const MADE_OF = `${BUNDLE}/made-of`
const BUILD_INFO = 'dist/.tsbuildinfo'
const ENTRIES = ['dist/src/main/program.js']
/** Of bundle-packages.mjs, for tests. */
export const PACKAGES = 'dist/packages/node_modules'
/**
 * A link in each leads there: Node.js looks in it before it looks in the checkout's node_modules. None in dist/bundle,
 * which is what is started.
 */
export const USERS = ['src', 'plugins', 'routes', 'workers', 'openapi', 'test']
/** It reads files that lie beside its modules, and is told where. */
const WITH_FILES = '@fastify/swagger-ui'
/**
 * What a package loads at once and the service never or seldom calls, by whose it is: loaded by its first use, from
 * node_modules.
 *
 * @type {Record<string, { of: string, path?: string }>}
 */
const LATER = {
  // For a document in YAML.
  yaml: { of: '@fastify/swagger' },
  // For jobs on a schedule; it loads luxon.
  'cron-parser': { of: 'bullmq' },
  // For queues on PostgreSQL.
  './sql-scripts': { of: 'bullmq', path: 'bullmq/dist/cjs/postgres/sql-scripts.js' },
  // Fastify's own way of checking and writing; the routes have zod's.
  '@fastify/ajv-compiler': { of: 'fastify' },
  '@fastify/fast-json-stringify-compiler': { of: 'fastify' },
  // For requests without a network, in tests.
  'light-my-request': { of: 'fastify' },
}
/** For what a CommonJS package requires of Node.js, or of other packages when it is called. */
const REQUIRE =
  "import { createRequire as createRequireOfBundle } from 'node:module';" +
  'const require = createRequireOfBundle(import.meta.url);'
/** @satisfies {import('esbuild').BuildOptions} */
export const BUNDLE_OPTIONS = {
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  banner: { js: REQUIRE },
  legalComments: 'none',
  logLevel: 'silent',
}

/** @param {string} directory */
export const listLinks = (directory) =>
  USERS.filter((folder) => existsSync(join(directory, 'dist', folder))).map((folder) =>
    join(directory, 'dist', folder, 'node_modules'),
  )

/** What is bundled is made of the packages themselves. @param {string} directory */
export function removePackages(directory) {
  for (const link of listLinks(directory)) rmSync(link, { force: true })
  rmSync(join(directory, PACKAGES), { recursive: true, force: true })
}

/** @param {string} directory */
const toStamp = (directory) => String(statSync(join(directory, BUILD_INFO), { throwIfNoEntry: false })?.mtimeMs ?? '')

/** Whether the bundle is of the modules as they are. @param {string} directory */
export function isBundled(directory) {
  const madeOf = join(directory, MADE_OF)
  return existsSync(madeOf) && readFileSync(madeOf, 'utf8') === toStamp(directory)
}

/**
 * Some thousand modules become a few files: loading them takes a third of the CPU time, and less memory. Names are kept
 * and lines are lines, and above each module stands which it was: a stack says where it is.
 *
 * @param {string} [directory]
 */
export async function bundle(directory = checkoutDirectory) {
  rmSync(join(directory, BUNDLE), { recursive: true, force: true })
  removePackages(directory)
  await bundleProgram({ directory, entryPoints: ENTRIES, outdir: BUNDLE })
  // Last: what is not whole is not used.
  writeFileSync(join(directory, MADE_OF), toStamp(directory))
}

/**
 * Into a folder that lies in its place as dist/bundle lies in the checkout's.
 *
 * @param {{ directory?: string, entryPoints: string[], outdir: string, isAlone?: boolean }} options `isAlone`: without
 *   any node_modules
 */
export async function bundleProgram({ directory = checkoutDirectory, entryPoints, outdir, isAlone = false }) {
  const { build, stop } = await import('esbuild')
  const { metafile } = await build({
    ...BUNDLE_OPTIONS,
    absWorkingDir: directory,
    entryPoints,
    outdir,
    entryNames: '[name]',
    chunkNames: '[name]-[hash]',
    metafile: true,
    plugins: [...(isAlone ? [ownPackages(directory)] : []), ownAddress(directory, isAlone), ...loadLater()],
  }).catch((/** @type {Error} */ error) => {
    throw new SetUpError(`the modules could not be bundled: ${error.message}`)
  })
  // Its process would wait for more, with 300 MB, for as long as this one lives.
  await stop()
  writeFileSync(resolve(directory, outdir, 'LICENSES.txt'), licencesOf(directory, Object.keys(metafile.inputs)))
}

/**
 * Packages as they were installed, whose licences and versions are there: beside tests they are also bundled in dist.
 *
 * @param {string} directory
 * @returns {import('esbuild').Plugin}
 */
function ownPackages(directory) {
  const seen = Symbol('seen')
  return {
    name: 'own packages',
    setup({ onResolve, resolve: find }) {
      onResolve({ filter: /^[@\w]/ }, ({ path, kind, importer, pluginData }) =>
        pluginData === seen || kind === 'entry-point' || relative(join(directory, 'dist'), importer).startsWith('..')
          ? undefined
          : find(path, { kind, importer, resolveDir: directory, pluginData: seen }),
      )
    },
  }
}

/** How a module requires by its own address; one that browsers load as well asks Node.js for it. */
const OWN_REQUIRE =
  /(?:globalThis\.process\.getBuiltinModule\('node:module'\)\.)?createRequire\(import\.meta\.url\)(?=\(')/g

/**
 * In a bundle a module keeps the address that it has outside: what it finds from there (package.json, a thread, the
 * command itself) is found as before.
 *
 * @param {string} directory
 * @param {boolean} isAlone then what a module requires by its own address is bundled as well
 * @returns {import('esbuild').Plugin}
 */
function ownAddress(directory, isAlone) {
  const dist = join(directory, 'dist')
  return {
    name: 'own address',
    setup({ onLoad }) {
      onLoad({ filter: /\.js$/ }, ({ path }) => {
        if (relative(dist, path).startsWith('..')) return undefined
        const source = readFileSync(path, 'utf8')
        if (!source.includes('import.meta.url')) return undefined
        const address = `new URL(${JSON.stringify(`../${relative(dist, path)}`)}, import.meta.url).href`
        const whole = isAlone ? source.replaceAll(OWN_REQUIRE, 'require') : source
        return { contents: whole.replaceAll('import.meta.url', address), loader: 'js' }
      })
    },
  }
}

/** For packages: each finds its files and what it seldom needs. */
export const loadLater = () => [ownFiles(), later()]

/** @returns {import('esbuild').Plugin} */
function ownFiles() {
  return {
    name: 'own files',
    setup({ onLoad }) {
      onLoad({ filter: new RegExp(`node_modules/${WITH_FILES}/.*[.]js$`) }, ({ path }) => {
        const [, folder = ''] = path.split(`node_modules/${WITH_FILES}/`)
        const address = `require('node:path').join(require.resolve('${WITH_FILES}/package.json'), '..', '${dirname(folder)}')`
        return { contents: readFileSync(path, 'utf8').replaceAll('__dirname', address), loader: 'js' }
      })
    },
  }
}

/** @returns {import('esbuild').Plugin} */
function later() {
  const filter = new RegExp(`^(?:${Object.keys(LATER).join('|')})$`)
  return {
    name: 'later',
    setup({ onLoad, onResolve }) {
      onResolve({ filter }, ({ path, kind, importer }) =>
        kind === 'require-call' && importer.includes('node_modules') ? { path, namespace: 'later' } : undefined,
      )
      onLoad({ filter, namespace: 'later' }, ({ path }) => {
        const { of, path: file = path } = LATER[path] ?? { of: path }
        return {
          contents: `
            const load = () => require('node:module').createRequire(require.resolve('${of}'))('${file}')
            module.exports = new Proxy(() => undefined, {
              get: (_, name) => load()[name],
              apply: (_, self, args) => load().apply(self, args),
            })`,
        }
      })
    },
  }
}

/**
 * The licences of what is in the bundle, for whoever passes it on.
 *
 * @param {string} directory
 * @param {string[]} inputs
 */
function licencesOf(directory, inputs) {
  const folders = new Set(inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0] ?? []))
  return [...folders]
    .toSorted()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(directory, folder, 'package.json'), 'utf8'))
      const files = readdirSync(join(directory, folder)).filter((file) => /^(?:licen[cs]e|notice|copying)/i.test(file))
      const texts = files.map((file) => readFileSync(join(directory, folder, file), 'utf8').trim())
      return [`${name} ${version}: ${license}`, ...texts].join('\n\n')
    })
    .join(`\n\n${'-'.repeat(80)}\n\n`)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await bundle()
