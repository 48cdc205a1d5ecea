import type { Spawner } from './spawned-root.js'
import { SpawnerProcess } from './spawner-process.js'

/** Nothing is started by it where perl or the kernel does not have what it needs. */
export function openSpawner(perl: string | undefined, onError: (error: unknown) => void): Spawner {
  let current: Promise<SpawnerProcess | undefined> | undefined
  const open = (path: string): Promise<SpawnerProcess | undefined> =>
    SpawnerProcess.open(path).catch((error: unknown) => {
      onError(error)
      return undefined
    })
  return {
    async start(request) {
      if (perl === undefined) return undefined
      const opening = (current ??= open(perl))
      const opened = await opening
      if (!opened) return undefined
      try {
        if (!opened.isLost) return await opened.start(request)
      } catch (error) {
        if (!opened.isLost) throw error
        onError(error)
      }
      // The next start has another one; whatever waits at this one's gates has ended with it.
      if (current === opening) current = undefined
      await opened.close()
      return undefined
    },
    close: async () => (await current)?.close(),
  }
}
