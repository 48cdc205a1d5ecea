import type { Redis } from 'ioredis'
import { keyRoot } from '../platform/redis.js'
import type { Sample } from './estimate-timeout.js'

/** Scripted runs teach nothing about real ones. */
export const kindOf = (simulated: boolean): 'simulated' | 'real' => (simulated ? 'simulated' : 'real')

/** What earlier runs took; written by the script that stores an end (lua/include/learn). */
export interface RunHistory {
  /** For each fingerprint what is known of it. */
  samples(fingerprints: readonly string[], simulated: boolean): Promise<Sample[][]>
  /** How long the last runs held their place, in milliseconds, however they ended. */
  places(simulated: boolean): Promise<number[]>
}

export function createRunHistory(redis: Redis, prefix: string): RunHistory {
  const root = `${keyRoot(prefix)}:history`
  const read = async (key: string): Promise<number[]> => (await redis.lrange(key, 0, -1)).map(Number)
  return {
    samples: (fingerprints, simulated) =>
      Promise.all(fingerprints.map((fingerprint) => read(`${root}:${kindOf(simulated)}:${fingerprint}`))),
    places: (simulated) => read(`${root}:places:${kindOf(simulated)}`),
  }
}
