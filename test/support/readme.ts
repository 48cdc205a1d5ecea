// README.md as a reader types it: its commands on a terminal, and what it says that they print.
import { spawn } from 'node:child_process'
import { homedir } from 'node:os'
import { stripVTControlCharacters } from 'node:util'
import { ROOT } from './paths.js'
import { once } from './deadlines.js'

/** Commands, and what stands under them, where they print something. */
export interface ReadmeBlock {
  readonly commands: string
  readonly prints: string | undefined
}

/** What came, and when, since the start. */
export interface Chunk {
  readonly atMs: number
  readonly text: string
}

/** Where and as whom its commands are typed. */
export interface ReaderOptions {
  /** Of the service, which is localhost:8001 for the reader. */
  readonly address: string
  readonly home: string
  readonly env: NodeJS.ProcessEnv
  readonly cwd?: string
  /** What runs a program as another user. */
  readonly as?: readonly string[]
}

/** Where README says /home/me. */
export const READER_HOME = '/home/me'

export const readBlocks = (readme: string): ReadmeBlock[] =>
  [...readme.matchAll(/^```sh\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm)].map(
    ([, commands = '', prints]) => ({ commands, prints }),
  )

/** Those that the picture shows; each is one line. */
export const pictureCommands = (blocks: readonly ReadmeBlock[]): string[] =>
  blocks
    .filter(({ commands }) => /^cc-executor tail|Try something forbidden/m.test(commands))
    .flatMap(({ commands }) => commands.trimEnd().split('\n'))

/** One after the other in one shell, and what each has printed, comparable. */
export async function runBlocks(
  blocks: readonly ReadmeBlock[],
  { address, home, env, cwd, as }: ReaderOptions,
): Promise<{ code: number; said: readonly string[] }> {
  const script = blocks
    .map(({ commands }, index) => `echo; echo "== ${index}"\n${commands}`)
    .join('\n')
    .replaceAll('localhost:8001', address)
  const { code, chunks } = await runOnTerminal(script, env, { cwd, as })
  const said = chunks
    .map(({ text }) => text)
    .join('')
    .split(/^== \d+\r?\n/m)
    .slice(1)
    .map((text) => toComparable(text, home))
  return { code, said }
}

/** Ids, times and places differ from run to run; a terminal adds colours and carriage returns. */
export function toComparable(text: string, home = homedir()): string {
  return stripVTControlCharacters(text)
    .replaceAll('\r', '')
    .replaceAll(home, READER_HOME)
    .replaceAll(ROOT.replace(/\/$/, ''), `${READER_HOME}/cc-executor`)
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8}-[0-9a-f-]*(?=…)/g, 'ID')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/(127\.0\.0\.1|localhost):\d+/g, '$1:8001')
    .replaceAll(/\b\d+(?:\.\d+)? m?s\b/g, 'SPAN')
    .replaceAll(/^[^\S\n]+$/gm, '')
    .replaceAll(/^\n+|\s+$/g, '')
}

/** An ellipsis stands for the rest of a line, or for any lines where it stands alone. */
export function toPrintedPattern(expected: string): RegExp {
  const lines = toComparable(expected)
    .split('\n')
    .map((line) =>
      line.trim() === '…' ? '(?:.*\n)*?' : `${line.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&').replaceAll('…', '.*')}\n`,
    )
  return new RegExp(`^${lines.join('')}$`)
}

/** Runs commands as in a terminal of their own: standard output and error are one, in their order. */
export async function runOnTerminal(
  script: string,
  env: NodeJS.ProcessEnv,
  { cwd = ROOT, as = [] }: { readonly cwd?: string; readonly as?: readonly string[] } = {},
): Promise<{ code: number; chunks: readonly Chunk[] }> {
  const shell = ['bash', '-euO', 'expand_aliases', '-o', 'pipefail', '-c', script]
  const args =
    process.platform === 'darwin'
      ? ['-q', '/dev/null', ...shell]
      : ['-qec', shell.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' '), '/dev/null']
  const startedAt = performance.now()
  const [file = '', ...more] = [...as, 'script', ...args]
  const child = spawn(file, more, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const chunks: Chunk[] = []
  child.stdout
    .setEncoding('utf8')
    .on('data', (text: string) => chunks.push({ atMs: Math.round(performance.now() - startedAt), text }))
  const [code] = (await once(child, 'close')) as [number]
  return { code, chunks }
}
