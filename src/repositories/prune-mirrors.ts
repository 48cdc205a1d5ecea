import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { removeTree } from '../platform/remove-tree.js'
import type { RepositorySettings } from '../platform/repository-settings.js'
import { withLock } from './folder-lock.js'
import { lfsOf } from './lfs-store.js'
import { removeAside } from './mirror.js'
import { sizeOfFolder } from './run-git.js'

const PLACE = /^[0-9a-f]{32}$/
/** Of one that was renamed to be removed, by a worker that was killed meanwhile. */
const REST = /^[0-9a-f]{32}\.gone-/

interface MirrorSize {
  readonly place: string
  readonly usedAt: number
  readonly bytes: number
}

async function measure(place: string): Promise<MirrorSize> {
  const usedAt = await stat(join(place, 'used')).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  )
  const seeds = await readdir(join(place, 'seeds')).catch(() => [])
  const repositories = [join(place, 'mirror.git'), ...seeds.map((name) => join(place, 'seeds', name))]
  const folders = repositories.flatMap((bare) => [join(bare, 'objects/pack'), lfsOf(bare)])
  const sizes = await Promise.all(folders.map((folder) => sizeOfFolder(folder)))
  return { place, usedAt, bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

/** Which of them are beyond the limits, by their age and then by the bytes of all: the longest unused first. */
export function chooseUnneeded(
  mirrors: readonly MirrorSize[],
  { mirrorsMs, mirrorsLimitBytes }: Pick<RepositorySettings, 'mirrorsMs' | 'mirrorsLimitBytes'>,
  now: number,
): MirrorSize[] {
  const unneeded: MirrorSize[] = []
  let bytes = 0
  for (const mirror of [...mirrors].sort((a, b) => b.usedAt - a.usedAt)) {
    bytes += mirror.bytes
    if (now - mirror.usedAt > mirrorsMs || bytes > mirrorsLimitBytes) unneeded.push(mirror)
  }
  return unneeded
}

/** Checkouts have what they need: whoever is about to take something from a mirror that goes obtains it once more. */
export async function pruneMirrors(folder: string, settings: RepositorySettings, signal: AbortSignal): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names) if (REST.test(name)) await removeTree(join(folder, name))
  const mirrors = await Promise.all(names.filter((name) => PLACE.test(name)).map((name) => measure(join(folder, name))))
  for (const { place, usedAt } of chooseUnneeded(mirrors, settings, Date.now()))
    await withLock(`${place}.lock`, signal, async () => {
      // Somebody may have used it while we waited.
      if ((await measure(place)).usedAt === usedAt) await removeAside(place)
    })
}
