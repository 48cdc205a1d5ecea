import type { Redis } from 'ioredis'

/** How long an answer about the settings of Redis holds; whoever changes them waits so long. */
const FRESH_MS = 5_000

/**
 * Why this Redis may throw away what it has accepted, as a sentence; undefined: it does not, or does not tell. At its
 * maxmemory it removes keys by its policy, and all of ours are meant to stay.
 */
export function explainEviction(info: string): string | undefined {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1]
  return policy === undefined || policy === 'noeviction'
    ? undefined
    : `Redis may evict keys (maxmemory-policy ${policy}); set it to noeviction.`
}

/** Whether it does so today: without a maxmemory nothing is evicted, whatever the policy. */
const evicts = (info: string): boolean => /^maxmemory:[1-9]/m.test(info) && explainEviction(info) !== undefined

/** Answers `explainEviction` of a Redis that has a limit of memory, from what was seen within the last seconds. */
export function watchEviction(redis: Redis): () => Promise<string | undefined> {
  let seen: { readonly at: number; readonly reason: string | undefined } | undefined
  let asking: Promise<void> | undefined
  const ask = (): Promise<void> =>
    (asking ??= redis
      .info('memory')
      .then((info) => void (seen = { at: performance.now(), reason: evicts(info) ? explainEviction(info) : undefined }))
      .finally(() => (asking = undefined)))
  return async () => {
    // The first caller waits; later ones take what is known, while it is asked again.
    if (!seen) await ask()
    else if (performance.now() - seen.at > FRESH_MS) ask().catch(() => undefined)
    return seen?.reason
  }
}
