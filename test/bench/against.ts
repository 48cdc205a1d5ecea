import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from './measure.js'

/**
 * `npm run bench -- --against COMMIT`: builds that commit in a temporary folder and measures it and this checkout in
 * turn, each by its own
 * bench, within one run: absolute figures of a shared machine mean little. Figures that both have are compared; the
 * median of the rounds counts.
 */
const ROUNDS = 3
const BENCH_DEADLINE_MS = 900_000
const BUILD_DEADLINE_MS = 600_000

export interface Figure {
  readonly name: string
  readonly before: number
  readonly after: number
  /** after / before */
  readonly ratio: number
}

export interface Comparison {
  readonly commit: string
  readonly rounds: number
  readonly figures: readonly Figure[]
}

/** Runs a program to its end. @throws Error with its last words, when it fails or takes too long */
async function run(command: string, args: readonly string[], cwd: string, deadlineMs: number): Promise<string> {
  const child = spawn(command, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.timeout(deadlineMs),
    killSignal: 'SIGTERM',
  })
  let output = ''
  let words = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-2_000)))
  // Safe: what 'close' gives.
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0)
    throw new Error(
      `${command} ${args.join(' ')} failed in ${cwd} (${code ?? 'ended'}): ${words || output.slice(-2_000)}`,
    )
  return output
}

const lockOf = (folder: string): Promise<string> => readFile(join(folder, 'package-lock.json'), 'utf8')

/** The commit, built; its dependencies are ours where the lock file is the same. */
async function build(commit: string, here: string, folder: string): Promise<void> {
  await run('sh', ['-c', 'git archive --format=tar "$0" | tar -x -C "$1"', commit, folder], here, BUILD_DEADLINE_MS)
  if ((await lockOf(folder)) === (await lockOf(here)))
    await symlink(join(here, 'node_modules'), join(folder, 'node_modules'))
  else await run('npm', ['ci', '--no-audit', '--no-fund'], folder, BUILD_DEADLINE_MS)
  await run(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
    folder,
    BUILD_DEADLINE_MS,
  )
}

/** A commit from before --only measures everything; what was not asked for is left out here. */
async function measure(folder: string, only: string | undefined): Promise<Map<string, number>> {
  const output = await run(
    process.execPath,
    ['dist/test/bench/bench.js', '--json', ...(only === undefined ? [] : ['--only', only])],
    folder,
    BENCH_DEADLINE_MS,
  )
  return toFigures(JSON.parse(output.slice(output.indexOf('{'))))
}

/** Every number in the results, by its path. */
export function toFigures(results: unknown, path = ''): Map<string, number> {
  if (typeof results === 'number') return new Map([[path, results]])
  if (typeof results !== 'object' || results === null) return new Map()
  return new Map(
    Object.entries(results).flatMap(([name, value]) => [...toFigures(value, path === '' ? name : `${path}.${name}`)]),
  )
}

/** Of the figures that both have, in the order of ours. */
export function compare(
  commit: string,
  then: ReadonlyArray<Map<string, number>>,
  now: ReadonlyArray<Map<string, number>>,
): Comparison {
  const valuesOf = (rounds: ReadonlyArray<Map<string, number>>, name: string): number[] =>
    rounds.flatMap((round) => round.get(name) ?? [])
  const names = [...(now[0]?.keys() ?? [])].filter((name) => then.some((round) => round.has(name)))
  const figures = names.map((name) => {
    const [before, after] = [median(valuesOf(then, name)), median(valuesOf(now, name))]
    return { name, before, after, ratio: after / before }
  })
  return { commit, rounds: now.length, figures }
}

export async function benchAgainst(
  commit: string,
  { only, rounds = ROUNDS }: { only?: string | undefined; rounds?: number | undefined },
): Promise<{ comparison: Comparison; file: string }> {
  const here = process.cwd()
  const name = (
    await run('git', ['rev-parse', '--short', '--verify', `${commit}^{commit}`], here, BUILD_DEADLINE_MS)
  ).trim()
  const folder = await mkdtemp(join(tmpdir(), 'cce-against-'))
  try {
    process.stderr.write(`bench: building ${name} …\n`)
    await build(name, here, folder)
    const then: Array<Map<string, number>> = []
    const now: Array<Map<string, number>> = []
    for (let round = 1; round <= rounds; round += 1) {
      process.stderr.write(`bench: round ${round} of ${rounds}\n`)
      then.push(await measure(folder, only))
      now.push(await measure(here, only))
    }
    const comparison = compare(name, then, now)
    const file = join(here, '.cache', 'bench', `against-${name}${only === undefined ? '' : `-${only}`}.json`)
    await mkdir(join(here, '.cache', 'bench'), { recursive: true })
    await writeFile(
      file,
      `${JSON.stringify({ ...comparison, roundsBefore: then.map((each) => Object.fromEntries(each)), roundsAfter: now.map((each) => Object.fromEntries(each)) }, null, 2)}\n`,
    )
    return { comparison, file }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export function printComparison({ commit, rounds, figures }: Comparison): string {
  const row = (name: string, then: string, now: string, ratio: string): string =>
    `${name.padEnd(34)}${then.padStart(14)}${now.padStart(14)}${ratio.padStart(10)}`
  return [
    row('', commit, 'here', 'ratio'),
    ...figures.map(({ name, before, after, ratio }) =>
      row(name, before.toFixed(2), after.toFixed(2), ratio.toFixed(3)),
    ),
    `medians of ${rounds} rounds in turn; ratio: here / ${commit}\n`,
  ].join('\n')
}
