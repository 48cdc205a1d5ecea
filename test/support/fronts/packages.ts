// Programs of Debian packages, unpacked into the cache: nothing is installed, also where root calls.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const DEADLINE_MS = 5 * 60_000
const CACHE = join(process.env['CC_EXECUTOR_CACHE_DIR'] ?? join(homedir(), '.cache/cc-executor'), 'packages/fronts')
/** What a package depends on, and a front in the foreground does not need. */
const NOT_NEEDED = /perl|logrotate|libpopt/
const AS_ANYBODY = ['-o', 'APT::Sandbox::User=root', '-o', 'Debug::NoLocking=1']

export interface Unpacked {
  /** Below which `usr/…` lies; empty where the package is installed. */
  readonly root: string
  readonly env: NodeJS.ProcessEnv
}

/** @returns why the program cannot be had, in words */
export async function unpackPackages(packages: readonly string[], program: string): Promise<Unpacked | string> {
  const place = join(CACHE, packages[0] ?? '')
  if (existsSync(join(place, program))) return toUnpacked(place)
  if (existsSync(`/${program}`)) return { root: '', env: {} }
  await mkdir(CACHE, { recursive: true })
  const folder = await mkdtemp(join(CACHE, '.unpack-'))
  try {
    const missing = await listMissing(packages)
    await run('apt-get', [...AS_ANYBODY, 'download', ...missing], { cwd: folder, timeout: DEADLINE_MS })
    for (const file of (await readdir(folder)).filter((name) => name.endsWith('.deb')))
      await run('dpkg-deb', ['-x', join(folder, file), join(folder, 'root')], { timeout: DEADLINE_MS })
    if (!existsSync(join(folder, 'root', program))) return `${packages.join(' ')}: there is no ${program} in it`
    await rm(place, { recursive: true, force: true })
    await rename(join(folder, 'root'), place)
  } catch (error) {
    return `${packages.join(' ')} cannot be had here: ${String(error).trim().split('\n').at(-1)}`
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return toUnpacked(place)
}

/** With all that they need and this machine has not. */
async function listMissing(packages: readonly string[]): Promise<string[]> {
  const args = [...AS_ANYBODY, 'install', '--simulate', '--no-install-recommends', ...packages]
  const { stdout } = await run('apt-get', args, { env: { ...process.env, LC_ALL: 'C' }, timeout: DEADLINE_MS })
  const names = [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name)
  return names.filter((name) => !NOT_NEEDED.test(name))
}

async function toUnpacked(root: string): Promise<Unpacked> {
  const files = await readdir(root, { recursive: true, withFileTypes: true })
  const folders = new Set(files.filter(({ name }) => /\.so(\.|$)/.test(name)).map(({ parentPath }) => parentPath))
  return { root, env: { LD_LIBRARY_PATH: [...folders].join(':') } }
}
