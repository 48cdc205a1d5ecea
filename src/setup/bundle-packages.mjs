import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { BUNDLE_OPTIONS, listLinks, loadLater, PACKAGES, removePackages, USERS } from './bundle.mjs'
import { checkoutDirectory } from './cache.mjs'
import { SetUpError } from './messages.mjs'

const ENTRIES = `${PACKAGES}/.entries`
/** Packages that tests load, beside those of the service. */
const OF_TESTS = ['@modelcontextprotocol/client', 'fast-check', 'tap']
/** One for tap in the test and for what it has loaded before the test. */
const SHARED = ['@tapjs/processinfo']
/** Loaded with `require`, which finds CommonJS only. */
const REQUIRED = ['ws']
/** What Node.js adds to the names of a CommonJS module; esbuild may take the package's other form. */
const OF_NODE = new Set(['module.exports', '__esModule'])

/**
 * Where several test files share a process, `t` of each is a test of its own (test/support/share-process.ts).
 */
const TAP = `
import { t } from 'tap'
const root = t
const now = () => globalThis[Symbol.for('cc-executor.test-file')]?.test ?? root
export * from 'tap'
export default new Proxy(root, {
  get(_, name) {
    const value = Reflect.get(now(), name)
    return typeof value === 'function' ? value.bind(now()) : value
  },
  set: (_, name, value) => Reflect.set(now(), name, value),
})
`

/**
 * The packages that the compiled modules import, each of them one file and what several share in others. For tests
 * only: each test file is a process, and loading packages in five hundred files took a third of its start. The modules
 * themselves stay as they are, for coverage.
 *
 * @param {string} [directory]
 */
export async function bundlePackages(directory = checkoutDirectory) {
  const { build, stop } = await import('esbuild')
  removePackages(directory)
  const specifiers = listImported(directory)
  mkdirSync(join(directory, ENTRIES), { recursive: true })
  /** @type {Record<string, string>} */
  const entryPoints = {}
  for (const specifier of specifiers) {
    const entry = join(ENTRIES, `${specifier.replaceAll('/', '_')}.mjs`)
    writeFileSync(join(directory, entry), await exportAll(specifier))
    entryPoints[toModule(specifier)] = entry
  }
  const root = JSON.stringify(pathToFileURL(join(directory, 'package.json')).href)
  await build({
    ...BUNDLE_OPTIONS,
    absWorkingDir: directory,
    entryPoints,
    outdir: PACKAGES,
    entryNames: '[dir]/[name]',
    chunkNames: '.chunks/[name]-[hash]',
    external: SHARED,
    // What a package asks for when it is called, it finds where it has always been.
    banner: { js: BUNDLE_OPTIONS.banner.js.replace('import.meta.url', root) },
    plugins: loadLater(),
  }).catch((/** @type {Error} */ error) => {
    throw new SetUpError(`the packages could not be bundled: ${error.message}`)
  })
  await stop()
  rmSync(join(directory, ENTRIES), { recursive: true })
  for (const name of new Set(specifiers.map(packageOf)))
    writeFileSync(join(directory, PACKAGES, name, 'package.json'), JSON.stringify(describePackage(name, specifiers)))
  for (const link of listLinks(directory)) symlinkSync('../packages/node_modules', link)
}

/**
 * Without `exports`, `require` still finds in the checkout's node_modules what is not here (a schema of ajv's).
 *
 * @param {string} name
 * @param {string[]} specifiers
 */
function describePackage(name, specifiers) {
  const own = specifiers.filter((specifier) => packageOf(specifier) === name)
  if (own.every((specifier) => specifier === name || specifier.endsWith('.js')))
    return { type: 'module', main: 'index.js' }
  const exports = own.map((specifier) => [
    `.${specifier.slice(name.length)}`,
    `.${toModule(specifier).slice(name.length)}.js`,
  ])
  return { type: 'module', exports: Object.fromEntries(exports) }
}

/** Where Node.js looks for the module, below the folder. @param {string} specifier */
const toModule = (specifier) =>
  specifier === packageOf(specifier) ? `${specifier}/index` : specifier.replace(/\.js$/, '')

/** @param {string} specifier */
const packageOf = (specifier) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')

/** @param {string} directory */
function listImported(directory) {
  const { dependencies = {} } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  const names = [...Object.keys(dependencies), ...OF_TESTS].filter((name) => !REQUIRED.includes(name))
  const modules = USERS.map((folder) => join(directory, 'dist', folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)))
    .filter((path) => path.endsWith('.js'))
    .map((path) => readFileSync(path, 'utf8'))
  const specifiers = modules.flatMap((text) =>
    [...text.matchAll(/\bfrom '([\w@][^']*)'/g)].map(([, name = '']) => name),
  )
  return [...new Set(specifiers)].filter((specifier) => names.includes(packageOf(specifier))).toSorted()
}

/** By name, since esbuild does not know what a CommonJS package exports. @param {string} specifier */
async function exportAll(specifier) {
  // Loaded here it would begin a test.
  if (specifier === 'tap') return TAP
  const names = Object.keys(await import(specifier)).filter((name) => !OF_NODE.has(name))
  return `export { ${names.join(', ')} } from '${specifier}'\n`
}
