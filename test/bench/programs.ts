// The cheap programs of the bench, compiled into its temporary folder.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { findExecutable, splitPath } from '../../src/platform/redis-server.js'
import { ROOT } from '../support/paths.js'

const NAMES = ['printer', 'ws-reader', 'http-load', 'no-namespaces'] as const
export type Programs = Readonly<Record<(typeof NAMES)[number], string>>

/** For parts that need none. */
export const NO_PROGRAMS: Programs = { printer: '', 'ws-reader': '', 'http-load': '', 'no-namespaces': '' }

export const searchPath = splitPath(process.env['PATH'])

const children = new Set<ChildProcess>()
/** Ended with the bench, however that ends. */
export function endWithUs(child: ChildProcess): void {
  children.add(child)
  child.once('exit', () => children.delete(child))
}
process.on('exit', () => {
  for (const child of children) child.kill('SIGTERM')
})

interface RunOptions {
  readonly cwd?: string
  readonly deadlineMs?: number
  readonly env?: NodeJS.ProcessEnv
}

/** Runs a program to its end and gives what it printed. @throws Error with its last words when it fails */
export async function run(
  command: string,
  args: readonly string[],
  { cwd = '/', deadlineMs = 600_000, env = process.env }: RunOptions = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.timeout(deadlineMs),
    killSignal: 'SIGTERM',
  })
  endWithUs(child)
  let output = ''
  let words = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-2_000)))
  // Safe: what 'close' gives.
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0)
    throw new Error(`${command} ${args.join(' ')} failed (${code ?? 'ended'}): ${words || output.slice(-2_000)}`)
  return output
}

/** undefined where there is no C compiler. */
export async function compilePrograms(folder: string): Promise<Programs | undefined> {
  const compiler = await findExecutable(['cc', 'gcc', 'clang'], searchPath)
  if (compiler === undefined) return undefined
  const paths = NAMES.map((name) => [name, join(folder, name)] as const)
  await Promise.all(
    paths.map(([name, path]) =>
      run(compiler, ['-O2', '-o', path, join(ROOT, 'test/bench/programs', `${name}.c`)], { deadlineMs: 60_000 }),
    ),
  )
  // Safe: a path for each of the names.
  return Object.fromEntries(paths) as Programs
}
