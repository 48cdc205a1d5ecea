// npm run bench: what the service costs beside its peers and beside another commit. README.md says what each row means.
import { existsSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../support/paths.js'
import type { Bench, Part } from './bench-context.js'
import { fillCapacity } from './capacity.js'
import { openBase, ours } from './checkout.js'
import { findLosses, printLosses, record, type Release } from './guard.js'
import { benchCheckout } from './parts/checkout.js'
import { benchEvidence } from './parts/evidence.js'
import { benchFanOut, benchIdleSockets } from './parts/fan-out.js'
import { benchFlood } from './parts/flood.js'
import { benchGrowth, benchGrowthWatched } from './parts/growth.js'
import { benchLight } from './parts/light.js'
import { benchPace, PACES } from './parts/pace.js'
import { benchQuickRuns } from './parts/quick-runs.js'
import { benchReadBack } from './parts/read-back.js'
import { benchRedisSize } from './parts/redis-size.js'
import { benchRelay, KINDS } from './parts/relay.js'
import { benchAsking } from './parts/asking.js'
import { benchRun } from './parts/run.js'
import { benchStandby } from './parts/standby.js'
import { benchScrape } from './parts/scrape.js'
import { benchIdleWorkers, benchSeveral } from './parts/several.js'
import { benchStarts } from './parts/starts.js'
import { benchSubmit } from './parts/submit.js'
import { benchTurns } from './parts/turns.js'
import { compilePrograms, NO_PROGRAMS, run, searchPath } from './programs.js'
import { judge, printRows, ratiosOf, medianOf, type Missing, type Row } from './rows.js'

const PARTS: Record<string, Part> = {
  submit: benchSubmit,
  'fan-out': benchFanOut,
  'idle-sockets': benchIdleSockets,
  'read-back': benchReadBack,
  'relay.200B': benchRelay(KINDS['200B']),
  'relay.tools': benchRelay(KINDS.tools),
  'relay.calls': benchRelay(KINDS.calls),
  'relay.2KB': benchRelay(KINDS['2KB']),
  'relay.deltas': benchRelay(KINDS.deltas),
  'pace.1x200': benchPace(PACES['1x200']),
  'pace.100x20': benchPace(PACES['100x20']),
  'quick-runs': benchQuickRuns,
  light: benchLight,
  'redis-size': benchRedisSize,
  growth: benchGrowth,
  watched: benchGrowthWatched,
  scrape: benchScrape,
  several: benchSeveral,
  'idle-workers': benchIdleWorkers,
  turns: benchTurns,
  run: benchRun,
  standby: benchStandby,
  asking: benchAsking,
  starts: benchStarts,
  checkout: benchCheckout,
  evidence: benchEvidence,
  flood: benchFlood,
}
/** They need no C compiler. */
const WITHOUT_PROGRAMS = ['starts', 'checkout', 'evidence', 'flood', 'turns']
/** Measured only where they are named. */
const ONLY_BY_NAME = ['flood']
const ROUNDS = 3
const RECORD_FILE = join(ROOT, 'test/bench/release.json')

const readOptions = () =>
  parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      against: { type: 'string' },
      rounds: { type: 'string', default: String(ROUNDS) },
      json: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
    },
  }).values

/** `relay` names all of its kinds. */
function chooseParts(names: readonly string[]): string[] {
  const all = Object.keys(PARTS)
  const isMeant = (part: string, name: string): boolean => part === name || part.startsWith(`${name}.`)
  for (const name of names)
    if (!all.some((part) => isMeant(part, name)))
      throw new Error(`--only: expected one of ${all.join(', ')}; it is ${name}`)
  return all.filter((part) =>
    names.length === 0 ? !ONLY_BY_NAME.includes(part) : names.some((name) => isMeant(part, name)),
  )
}

/** Told part by part: whoever ends it early has the first ones. */
async function measure(bench: Bench, parts: readonly string[], tell: (rows: Row[]) => void): Promise<Row[]> {
  const rows: Row[] = []
  for (const name of parts) {
    const startedAt = performance.now()
    process.stderr.write(`bench: ${name} …`)
    const found = (await PARTS[name]?.(bench)) ?? []
    process.stderr.write(` ${((performance.now() - startedAt) / 1000).toFixed(0)} s\n`)
    tell(found)
    rows.push(...found)
  }
  return rows
}

const readRelease = async (): Promise<Release | undefined> =>
  // Safe: our own file.
  existsSync(RECORD_FILE) ? (JSON.parse(await readFile(RECORD_FILE, 'utf8')) as Release) : undefined

/** The release, and the page of the manual that reckons with it, once all that it needs was measured. */
async function keepRelease(rows: readonly Row[], commit: string, base: string | undefined): Promise<void> {
  const release = record(rows, commit, base, await readRelease())
  await writeFile(RECORD_FILE, `${JSON.stringify(release, null, 2)}\n`)
  const page = join(ROOT, 'deployment/CAPACITY.md')
  try {
    await writeFile(page, fillCapacity(await readFile(page, 'utf8'), release))
  } catch (error) {
    process.stderr.write(`bench: deployment/CAPACITY.md stays as it is: ${String(error)}\n`)
  }
}

/** A part that seems to have lost is measured once more: the machine may have been busy with something else. */
async function checkAgain(
  bench: Bench,
  parts: readonly string[],
  rows: readonly Row[],
  base?: string,
): Promise<string> {
  const release = await readRelease()
  if (!release) throw new Error(`there is no ${RECORD_FILE} to compare with; --record makes it`)
  const suspects = findLosses(rows, release, base)
  const again = parts.filter((part) => suspects.some(({ id }) => id.startsWith(part)))
  const losses = again.length > 0 ? findLosses(await measure(bench, again, () => undefined), release, base) : []
  const lasting = losses.filter(({ id, against }) =>
    suspects.some((suspect) => suspect.id === id && suspect.against === against),
  )
  if (lasting.length === 0) return `no row lost more than a tenth against ${release.commit}\n`
  process.exitCode = 1
  return `against ${release.commit}:\n${printLosses(lasting)}\n`
}

const toJson = (rows: readonly Row[], missing: readonly Missing[], base: string | undefined, commit: string): string =>
  JSON.stringify(
    {
      commit,
      ...(base !== undefined && { base }),
      node: process.version,
      cpus: cpus().length,
      rows: rows.map((row) => ({
        ...row,
        medians: Object.fromEntries(Object.keys(row.samples).map((name) => [name, medianOf(row, name)])),
        ratios: ratiosOf(row),
        goals: judge(row),
      })),
      missing,
    },
    null,
    2,
  )

async function bench(): Promise<void> {
  const options = readOptions()
  const rounds = Number(options.rounds)
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds: expected a whole number above 0; it is ${options.rounds}`)
  const chosen = chooseParts(options.only)
  const folder = await mkdtemp(join(tmpdir(), 'cceb-'))
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      rmSync(folder, { recursive: true, force: true })
      process.exit(1)
    })
  try {
    const base =
      options.against === undefined
        ? undefined
        : await openBase(options.against, await mkdtemp(join(tmpdir(), 'cceb-base-')))
    const commit = (await run('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT }).catch(() => 'unknown')).trim()
    const missing: Missing[] = []
    const notes: string[] = []
    const programs = await compilePrograms(folder)
    const parts = chosen.filter((part) => programs !== undefined || WITHOUT_PROGRAMS.includes(part))
    if (parts.length < chosen.length)
      missing.push({ what: 'all other parts', why: 'there is no C compiler (apt-get install gcc)' })
    const context: Bench = {
      folder,
      programs: programs ?? NO_PROGRAMS,
      redisPath: [...searchPath, join(process.env['HOME'] ?? '/root', '.cache/cc-executor/bin')],
      checkouts: [ours(), ...(base ? [base] : [])],
      rounds,
      miss: (entry) => void missing.push(entry),
      note: (text) => void notes.push(text),
    }
    const rows = await measure(context, parts, (found) => {
      if (!options.json) process.stdout.write(`${printRows(found, base?.title)}\n`)
    })
    const json = toJson(rows, missing, base?.title, commit)
    const file = join(ROOT, '.cache', 'bench', `${options.only.length > 0 ? options.only.join('+') : 'all'}.json`)
    await mkdir(join(ROOT, '.cache', 'bench'), { recursive: true })
    await writeFile(file, `${json}\n`)
    if (options.json) process.stdout.write(`${json}\n`)
    else {
      const told = [...notes, ...missing.map(({ what, why }) => `not measured: ${what}: ${why}`)]
      told.push(`medians of ${rounds} rounds in turn; as JSON, with every round: ${file}`)
      process.stdout.write(`${told.join('\n')}\n`)
    }
    if (options.check) process.stderr.write(await checkAgain(context, parts, rows, base?.title))
    if (options.record) await keepRelease(rows, commit, base?.title)
    if (base && base.root !== options.against) await rm(base.root, { recursive: true, force: true })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

bench()
  .catch((error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exitCode = 1
  })
  .finally(() => process.exit())
