// Every fact about the CLI that our code relies on, against the real CLI. In npm test the short form on the pinned
// version, in test:all all of
// them on both ends of the range; `npm run test:cli -- VERSION…` looks at any versions and prints the table.
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { probeClaude } from '../../src/claude/install/find-claude.js'
import { TESTED_VERSIONS } from '../../src/claude/supported-versions.js'
import { isKnown, type Fact } from './fact.js'
import { FACTS } from './facts.js'
import { openScene } from './scene.js'

const {
  CC_EXECUTOR_CLAUDE_BIN: given,
  CC_EXECUTOR_CACHE_DIR: cacheDir,
  CC_EXECUTOR_TEST_ALL: all,
  CC_EXECUTOR_CONTRACT_VERSIONS: named,
  CC_EXECUTOR_CONTRACT_TABLE: table,
} = process.env
const cache = cacheDir ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cc-executor')
const binaryOf = (version: string): string => join(cache, 'packages', `claude-${version}`, 'claude')

/** Where the pinned one is not in the cache, since somebody has a CLI of their own, that one is looked at. */
async function listBinaries(): Promise<string[]> {
  if (named !== undefined) return named.split(',').map(binaryOf)
  if (all !== undefined) return Object.values(TESTED_VERSIONS).map(binaryOf)
  const pinned = binaryOf(TESTED_VERSIONS.to)
  return [existsSync(pinned) ? pinned : (given ?? pinned)]
}

const looked: { version: string; name: string; for: string; found: string; isKnown: boolean }[] = []
const isShort = named === undefined && all === undefined
const facts = isShort ? FACTS.filter(({ short }) => short) : FACTS
t.equal(new Set(FACTS.map(({ name }) => name)).size, FACTS.length, 'each fact has a name of its own')

for (const binary of await listBinaries()) {
  const probe = await probeClaude(binary, process.env)
  if (!('version' in probe)) {
    t.fail(`${binary}: ${probe.problem}`)
    continue
  }
  const { version } = probe
  await t.test(`Claude CLI ${version}`, { timeout: 600_000, jobs: 4 }, async (t) => {
    const scene = await openScene(binary, version)
    t.teardown(() => scene.close())
    const look = async (fact: Fact): Promise<void> => {
      const found = await fact
        .look(scene)
        .catch((error: unknown) => `failed: ${error instanceof Error ? error.message : String(error)}`)
      looked.push({ version, name: fact.name, for: fact.for, found, isKnown: isKnown(fact, found) })
    }
    // tap's own jobs would run tests; these are looks, and the table wants all of them.
    const waiting = [...facts]
    await Promise.all(
      Array.from({ length: 3 }, async () => {
        for (let fact = waiting.shift(); fact; fact = waiting.shift()) await look(fact)
      }),
    )
    const placeOf = ({ name }: { name: string }): number => facts.findIndex((fact) => fact.name === name)
    looked.sort((one, other) => placeOf(one) - placeOf(other))
    for (const { name, found, for: reliant, isKnown: known } of looked.filter((one) => one.version === version))
      t.ok(known, `${name}: ${found} (${reliant})`)
  })
}
if (table !== undefined) await writeFile(table, JSON.stringify(looked))
