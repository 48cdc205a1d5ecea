import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { deflate, inflate } from 'node:zlib'
import type { GitHead } from '../protocol/verification.js'
import type { Manifest, ManifestEntry } from '../verification/manifest.js'
import { BeforeContents, type Places } from './before-contents.js'

const pack = promisify(deflate)
const unpack = promisify(inflate)

/** A workspace as it was before the first attempt of its run. */
export interface Before {
  readonly manifest: Manifest
  readonly head: GitHead | undefined
  /** undefined: nothing is kept of files. */
  readonly contents: BeforeContents | undefined
}

/** In between, whatever else the process does has its turn. */
const ENTRIES_PER_TURN = 1_000
/** Of the manifest, inflated: as much as the largest one takes. */
const LIMIT_BYTES = 512 * 1024 * 1024

interface Head {
  readonly manifest: Omit<Manifest, 'entries'>
  readonly head: GitHead | undefined
  readonly places: Places | undefined
}

async function writeFile(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
  } finally {
    await file.close()
  }
}

/**
 * Keeps it for the attempts that follow. One folder with the texts and, written last and renamed, the manifest,
 * deflated: about 40 bytes for each entry, of at most 200,000; the texts are at most 64 MiB (BeforeContents).
 */
export async function writeBefore(folder: string, { manifest, head, contents }: Before): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { entries, ...rest } = manifest
  const first: Head = { manifest: rest, head, places: contents && (await contents.copyTo(join(folder, 'contents'))) }
  const lines = [JSON.stringify(first)]
  for (const [index, entry] of entries.entries()) {
    if (index % ENTRIES_PER_TURN === 0) await nextTurn()
    lines.push(JSON.stringify(entry))
  }
  await writeFile(join(folder, 'new'), await pack(lines.join('\n')))
  await rename(join(folder, 'new'), join(folder, 'manifest'))
}

/** undefined: none was kept here, or it cannot be read. */
export async function readBefore(folder: string): Promise<Before | undefined> {
  try {
    const packed = await readFile(join(folder, 'manifest'))
    const lines = (await unpack(packed, { maxOutputLength: LIMIT_BYTES })).toString().split('\n')
    // Safe: `writeBefore` made each line of these types.
    const first = JSON.parse(lines[0] ?? '') as Head
    const entries: ManifestEntry[] = []
    for (const [index, line] of lines.slice(1).entries()) {
      if (index % ENTRIES_PER_TURN === 0) await nextTurn()
      entries.push(JSON.parse(line) as ManifestEntry)
    }
    return {
      manifest: { ...first.manifest, entries },
      head: first.head,
      contents: first.places && BeforeContents.open(join(folder, 'contents'), first.places),
    }
  } catch {
    return undefined
  }
}
