import { randomUUID } from 'node:crypto'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { sleep } from './abort-signals.js'
import { makeFolder } from './make-folder.js'
import { readProcessStart } from './process-identity.js'

const ServiceRecord = z.object({
  /** Also in the answer of /health: whoever answers at the address can be told from whom the record means. */
  instanceId: z.string(),
  pid: z.number().int().positive(),
  processStart: z.string(),
  startedAt: z.string(),
  state: z.enum(['starting', 'serving', 'ending']),
  /** As a client on this machine writes it; from `serving` on. */
  url: z.string().optional(),
  /** It ends by itself after so long without a client or an execution. */
  idleSeconds: z.number().optional(),
})
/** What a `cc-executor start` says of itself in its data folder, as long as it lives. */
export type ServiceRecord = z.infer<typeof ServiceRecord>

export interface ServiceClaim {
  readonly instanceId: string
  update(fields: Pick<ServiceRecord, 'state'> & Partial<Pick<ServiceRecord, 'url'>>): Promise<void>
  /** Idempotent. */
  release(): Promise<void>
}

/** Two that start at the same moment both step back, for so long at most, and try again. */
const STEP_BACK_MS = 150
const CLAIM_DEADLINE_MS = 1_500

const folderOf = (dataDir: string): string => join(dataDir, 'services')

async function readRecord(path: string): Promise<ServiceRecord | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  try {
    return ServiceRecord.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

async function writeRecord(path: string, record: ServiceRecord): Promise<void> {
  const draft = `${path}.draft`
  await writeFile(draft, `${JSON.stringify(record)}\n`, { mode: 0o600 })
  await rename(draft, path)
}

/**
 * The services of a data folder that live, the youngest first. What a dead one left behind is removed: its name is
 * never used again.
 */
export async function listServices(dataDir: string): Promise<ServiceRecord[]> {
  const folder = folderOf(dataDir)
  const names = await readdir(folder).catch((): string[] => [])
  const found = await Promise.all(
    names
      .filter((name) => name.endsWith('.json'))
      .map(async (name) => {
        const path = join(folder, name)
        const record = await readRecord(path)
        if (record && readProcessStart(record.pid) === record.processStart) return [record]
        await rm(path, { force: true }).catch(() => undefined)
        return []
      }),
  )
  return found.flat().sort((one, other) => other.startedAt.localeCompare(one.startedAt))
}

/** The service of a data folder that serves. */
export async function findService(dataDir: string): Promise<(ServiceRecord & { readonly url: string }) | undefined> {
  return (await listServices(dataDir))
    .flatMap((record) =>
      record.state === 'serving' && record.url !== undefined ? [{ ...record, url: record.url }] : [],
    )
    .at(0)
}

interface ClaimOptions {
  readonly dataDir: string
  /** false: others may serve beside it (they share a Redis of the operator's). */
  readonly exclusive: boolean
  readonly idleSeconds?: number
}

/**
 * Records this process as the service of its data folder; with `exclusive`, as the only one. Gives whoever is in the
 * way instead.
 *
 * The lock needs no file that is taken over from the dead: everybody writes a record of his own first and looks at all
 * the others then. Of two that come at once each sees the other, or the later one sees the earlier; so never do both go
 * on.
 */
export async function claimService({
  dataDir,
  exclusive,
  idleSeconds,
}: ClaimOptions): Promise<{ readonly claim: ServiceClaim } | { readonly other: ServiceRecord }> {
  const instanceId = randomUUID()
  const path = join(folderOf(dataDir), `${instanceId}.json`)
  let record: ServiceRecord = {
    instanceId,
    pid: process.pid,
    processStart: readProcessStart(process.pid) ?? '',
    startedAt: new Date().toISOString(),
    state: 'starting',
    idleSeconds,
  }
  const release = (): Promise<void> => rm(path, { force: true })
  const deadline = performance.now() + CLAIM_DEADLINE_MS
  await makeFolder(folderOf(dataDir), 0o700)
  for (;;) {
    await writeRecord(path, record)
    const other = (await listServices(dataDir)).find((found) => found.instanceId !== instanceId)
    if (!exclusive || !other) break
    await release()
    if (other.state === 'serving' || performance.now() > deadline) return { other }
    await sleep(Math.random() * STEP_BACK_MS)
  }
  return {
    claim: {
      instanceId,
      async update(fields) {
        record = { ...record, ...fields }
        await writeRecord(path, record)
      },
      release,
    },
  }
}
