import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { cacheDirectory, cachedProgram, findOnPath } from './cache.mjs'
import { withLock } from './lock.mjs'
import { SetUpError, speaksOfNoNetwork, withoutHosts } from './messages.mjs'
import { runProgram } from './run-program.mjs'

const DEADLINE_MS = 3 * 60_000
const ROUNDS = 6

/** @typedef {{ packages: string[], path: string }} Choice packages to unpack, and where the program lies in them */

export function canUseDebianPackages() {
  return (
    process.platform === 'linux' &&
    ['apt-get', 'apt-cache', 'dpkg-deb', 'dpkg-query', 'ldd'].every((name) => findOnPath(name))
  )
}

/**
 * Puts a program of the distribution into the cache: its packages are downloaded and unpacked, nothing is installed,
 * and the system stays as it is, also when root calls. Rejects with a SetUpError that says why it could not.
 *
 * @param {{ program: string, choices: Choice[], firstArguments?: string[] }} options `firstArguments` precede the
 *   caller's where a wrapper is needed
 */
export async function installFromDebian({ program, choices, firstArguments = [] }) {
  const packages = join(cacheDirectory(), 'packages')
  await withLock(join(packages, 'debian.lock'), async () => {
    if (cachedProgram(program)) return
    // Whatever a set-up that was killed left behind: we hold the lock, so it is nobody's.
    for (const name of readdirSync(packages)) {
      if (name.startsWith('.unpack-')) rmSync(join(packages, name), { recursive: true, force: true })
    }
    const folder = join(packages, `.unpack-${program}-${process.pid}`)
    try {
      const choice = await unpackOne(folder, choices)
      await install({ program, choice, firstArguments, root: join(folder, 'root') })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

/**
 * Tries the system's package lists first; a container often has none, or old ones, so then own ones are fetched.
 *
 * @param {string} folder
 * @param {Choice[]} choices
 */
async function unpackOne(folder, choices) {
  let reason = ''
  for (const lists of [undefined, join(cacheDirectory(), 'packages/apt-lists')]) {
    const apt = aptIn(folder, lists)
    if (lists !== undefined) {
      const { code, output } = await apt('apt-get', ['update'])
      // apt-get update succeeds with a warning when it reached nothing.
      if (code !== 0 || speaksOfNoNetwork(output)) {
        throw new SetUpError(
          speaksOfNoNetwork(output) ? 'the distribution’s package server cannot be reached' : lastComplaint(output),
        )
      }
    }
    for (const choice of choices) {
      rmSync(join(folder, 'root'), { recursive: true, force: true })
      try {
        await unpackWithLibraries(folder, apt, choice)
        return choice
      } catch (error) {
        if (!(error instanceof SetUpError)) throw error
        reason ||= error.message
      }
    }
  }
  throw new SetUpError(reason)
}

/**
 * Unpacks the packages, then as many of the libraries they depend on as the loader does not find on this system:
 * which these are differs from one distribution to the next, so they are asked for and not listed here.
 *
 * @param {string} folder
 * @param {Apt} apt
 * @param {Choice} choice
 */
async function unpackWithLibraries(folder, apt, { packages, path }) {
  const root = join(folder, 'root')
  const unpacked = new Set()
  let wanted = packages
  for (let round = 0; round < ROUNDS; round += 1) {
    await unpack(folder, apt, wanted)
    wanted.forEach((name) => unpacked.add(name))
    const missing = await missingLibraries(root, path)
    if (missing.length === 0) return
    const dependencies = await librariesNeededBy(apt, [...unpacked])
    const absent = await notInstalled(dependencies)
    wanted = absent.filter((name) => !unpacked.has(name))
    if (wanted.length === 0) throw new SetUpError(`no package was found for ${missing.join(', ')}`)
  }
  throw new SetUpError(`the libraries of ${path} could not be gathered`)
}

/** @typedef {(command: string, args: string[]) => Promise<import('./run-program.mjs').ProgramResult>} Apt */

/**
 * @param {string} folder
 * @param {string} [lists] own package lists instead of the system's
 * @returns {Apt}
 */
function aptIn(folder, lists) {
  const downloads = join(folder, 'downloads')
  mkdirSync(downloads, { recursive: true })
  const settings = join(folder, 'apt.conf')
  const lines = [
    // Hooks of the system (docker-clean removes archives, others send mail) are not ours to run.
    ...['APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success'].map(
      (hook) => `#clear ${hook};`,
    ),
    `Dir::Cache "${join(folder, 'apt-cache')}";`,
    'Dir::Cache::pkgcache "";',
    'Dir::Cache::srcpkgcache "";',
    // As root apt would download as the user _apt, who cannot write here.
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::Retries "2";',
    'Acquire::http::Timeout "20";',
    'Acquire::https::Timeout "20";',
  ]
  if (lists !== undefined) {
    mkdirSync(join(lists, 'partial'), { recursive: true })
    lines.push(`Dir::State::lists "${lists}";`)
  }
  mkdirSync(join(folder, 'apt-cache/archives/partial'), { recursive: true })
  writeFileSync(settings, `${lines.join('\n')}\n`)
  const env = { ...process.env, LC_ALL: 'C' }
  return (command, args) =>
    runProgram(command, ['-c', settings, ...args], { cwd: downloads, env, deadlineMs: DEADLINE_MS })
}

/**
 * @param {string} folder
 * @param {Apt} apt
 * @param {string[]} packages
 */
async function unpack(folder, apt, packages) {
  const { code, output } = await apt('apt-get', ['download', ...packages])
  if (code !== 0)
    throw new SetUpError(
      speaksOfNoNetwork(output) ? 'the distribution’s package server cannot be reached' : lastComplaint(output),
    )
  const downloads = join(folder, 'downloads')
  for (const file of readdirSync(downloads).filter((name) => name.endsWith('.deb'))) {
    const result = await runProgram('dpkg-deb', ['-x', join(downloads, file), join(folder, 'root')], {
      deadlineMs: DEADLINE_MS,
    })
    if (result.code !== 0) throw new SetUpError(`${file} could not be unpacked: ${result.output.trim()}`)
    rmSync(join(downloads, file))
  }
}

/**
 * @param {string} root
 * @param {string} path
 */
async function missingLibraries(root, path) {
  const env = { ...process.env, LC_ALL: 'C', LD_LIBRARY_PATH: libraryFolders(root).join(':') }
  const { stdout } = await runProgram('ldd', [join(root, path)], { env, deadlineMs: 30_000 })
  return [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(([, name]) => name)
}

/**
 * @param {Apt} apt
 * @param {string[]} packages
 */
async function librariesNeededBy(apt, packages) {
  const { stdout } = await apt('apt-cache', ['depends', ...packages])
  return [...new Set([...stdout.matchAll(/^\s*\|?(?:Pre)?Depends: (lib[\w.+-]*)/gm)].map(([, name = '']) => name))]
}

/** @param {string[]} packages */
async function notInstalled(packages) {
  if (packages.length === 0) return []
  const { stdout } = await runProgram('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...packages], {
    deadlineMs: 30_000,
  })
  const installed = new Set([...stdout.matchAll(/^(\S+) installed$/gm)].map(([, name]) => name))
  return packages.filter((name) => !installed.has(name))
}

/**
 * @param {string} root
 * @returns {string[]} the folders in it which hold shared libraries
 */
function libraryFolders(root) {
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
  return [...new Set(files.filter(({ name }) => /\.so(\.|$)/.test(name)).map((entry) => entry.parentPath))]
}

/**
 * Moves what was unpacked to its place and makes `bin/<program>` of it, in this order, and only if it runs: whoever
 * sees the program in bin can use it.
 *
 * @param {{ program: string, choice: Choice, firstArguments: string[], root: string }} options
 */
async function install({ program, choice, firstArguments, root }) {
  const home = join(cacheDirectory(), 'packages', program)
  rmSync(home, { recursive: true, force: true })
  renameSync(root, home)
  const target = join(home, choice.path)
  const bin = join(cacheDirectory(), 'bin')
  mkdirSync(bin, { recursive: true })
  const candidate = join(bin, `.${program}-${process.pid}`)
  const folders = libraryFolders(home)
  if (folders.length === 0) symlinkSync(target, candidate)
  else {
    const first = firstArguments.map((argument) => `${argument} `).join('')
    writeFileSync(
      candidate,
      `#!/bin/sh\n# Its libraries lie in the cache; made by ` +
        `src/setup.\nLD_LIBRARY_PATH=${quoted(folders.join(':'))} exec ${quoted(target)} ${first}"$@"\n`,
    )
    chmodSync(candidate, 0o755)
  }
  const { code, output } = await runProgram(candidate, ['--version'], { deadlineMs: 15_000 })
  if (code !== 0) {
    rmSync(candidate, { force: true })
    throw new SetUpError(
      `the ${program} from ${choice.packages[0]} does not run here: ${output.trim().split('\n').at(-1)}`,
    )
  }
  renameSync(candidate, join(bin, program))
}

/** @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** @param {string} output */
function lastComplaint(output) {
  const lines = output.trim().split('\n')
  return `apt-get: ${withoutHosts(lines.findLast((line) => line.startsWith('E: '))?.slice(3) ?? lines.at(-1) ?? '')}`
}
