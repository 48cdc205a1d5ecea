// What evidence costs on a large workspace, beside a plain reading and hashing of the same files.
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareManifests } from '../../../src/verification/compare-manifests.js'
import { takeManifest } from '../../../src/verification/manifest.js'
import type { Bench } from '../bench-context.js'
import type { Row } from '../rows.js'

const FILES = 50_000
const FOLDERS = 500
const LIMITS = {
  ignored: [],
  maxEntries: 200_000,
  maxFileBytes: 16 * 1024 * 1024,
  maxBytes: 1024 ** 3,
  maxMs: 60_000,
}

async function hashAll(workspace: string): Promise<number> {
  const startedAt = performance.now()
  for (const folder of await readdir(workspace))
    await Promise.all(
      (await readdir(join(workspace, folder))).map(async (file) =>
        createHash('sha256')
          .update(await readFile(join(workspace, folder, file)))
          .digest('hex'),
      ),
    )
  return performance.now() - startedAt
}

export async function benchEvidence(bench: Bench): Promise<Row[]> {
  const workspace = join(bench.folder, 'large')
  for (let group = 0; group < FOLDERS; group += 1) {
    await mkdir(join(workspace, `group-${group}`), { recursive: true })
    await Promise.all(
      Array.from({ length: FILES / FOLDERS }, (_, index) =>
        writeFile(join(workspace, `group-${group}`, `${index}.txt`), `${group}/${index}\n`.repeat(50)),
      ),
    )
  }
  const first: number[] = []
  const second: number[] = []
  const plain: number[] = []
  for (let round = 0; round < bench.rounds; round += 1) {
    plain.push(await hashAll(workspace))
    const startedAt = performance.now()
    const before = await takeManifest(workspace, LIMITS)
    first.push(performance.now() - startedAt)
    await writeFile(join(workspace, 'group-7', `new-${round}.txt`), 'new')
    const againAt = performance.now()
    const after = await takeManifest(workspace, LIMITS, before)
    if (compareManifests(before, after).length !== 1) throw new Error('the manifests differ in something else')
    second.push(performance.now() - againAt)
  }
  await rm(workspace, { recursive: true })
  return [
    {
      id: 'evidence.first',
      title: `the manifest of a workspace of ${FILES} files`,
      unit: 'ms',
      better: 'less',
      samples: { here: first, 'read+sha256': plain },
    },
    {
      id: 'evidence.second',
      title: 'the second one, and the comparison',
      unit: 'ms',
      better: 'less',
      samples: { here: second, 'read+sha256': plain },
    },
  ]
}
