import type { Redis } from 'ioredis'

/**
 * Every command that the service and BullMQ send, in scripts or alone, with arguments that are valid and do nothing:
 * all go to one key, which holds a text and is gone afterwards. A command for another type is refused for that, which
 * only those hear that have the right to it: Redis looks at rights first. test/platform/require-redis.test.ts compares
 * the names with the scripts and the calls.
 */
const PROBES: ReadonlyArray<(key: string) => readonly [command: string, ...args: string[]]> = [
  (key) => ['set', key, '1', 'px', '10000'],
  (key) => ['setrange', key, '0', ''],
  (key) => ['get', key],
  (key) => ['mget', key],
  (key) => ['setrange', key, '0', ''],
  (key) => ['exists', key],
  (key) => ['type', key],
  (key) => ['incr', key],
  (key) => ['incrby', key, '1'],
  (key) => ['copy', key, key],
  (key) => ['decrby', key, '1'],
  (key) => ['persist', key],
  (key) => ['expire', key, '10'],
  (key) => ['pexpire', key, '10000'],
  (key) => ['pexpireat', key, '32503680000000'],
  (key) => ['pttl', key],
  (key) => ['rename', key, key],
  (key) => ['hdel', key, 'f'],
  (key) => ['hexists', key, 'f'],
  (key) => ['hget', key, 'f'],
  (key) => ['hgetall', key],
  (key) => ['hincrby', key, 'f', '1'],
  (key) => ['hkeys', key],
  (key) => ['hlen', key],
  (key) => ['hmget', key, 'f'],
  (key) => ['hmset', key, 'f', '1'],
  (key) => ['hset', key, 'f', '1'],
  (key) => ['hsetnx', key, 'f', '1'],
  (key) => ['hstrlen', key, 'f'],
  (key) => ['hvals', key],
  (key) => ['lindex', key, '0'],
  (key) => ['llen', key],
  (key) => ['lpop', key],
  (key) => ['lpos', key, 'x'],
  (key) => ['lpush', key, 'x'],
  (key) => ['lrange', key, '0', '0'],
  (key) => ['lrem', key, '0', 'x'],
  (key) => ['lset', key, '0', 'x'],
  (key) => ['ltrim', key, '0', '0'],
  (key) => ['rpop', key],
  (key) => ['rpoplpush', key, key],
  (key) => ['rpush', key, 'x'],
  (key) => ['sadd', key, 'x'],
  (key) => ['scard', key],
  (key) => ['sismember', key, 'x'],
  (key) => ['smembers', key],
  (key) => ['srandmember', key],
  (key) => ['srem', key, 'x'],
  (key) => ['xadd', key, '*', 'f', '1'],
  (key) => ['xdel', key, '1-1'],
  (key) => ['xlen', key],
  (key) => ['xrange', key, '-', '+'],
  (key) => ['xread', 'streams', key, '0'],
  (key) => ['xrevrange', key, '+', '-'],
  (key) => ['xtrim', key, 'maxlen', '0'],
  (key) => ['zadd', key, '1', 'x'],
  (key) => ['zcard', key],
  (key) => ['zcount', key, '0', '0'],
  (key) => ['zlexcount', key, '-', '+'],
  (key) => ['zpopmin', key],
  (key) => ['zrandmember', key],
  (key) => ['zrange', key, '0', '0'],
  (key) => ['zrangebylex', key, '-', '+'],
  (key) => ['zrangebyscore', key, '0', '0'],
  (key) => ['zrank', key, 'x'],
  (key) => ['zrem', key, 'x'],
  (key) => ['zremrangebyrank', key, '0', '0'],
  (key) => ['zremrangebyscore', key, '0', '0'],
  (key) => ['zrevrange', key, '0', '0'],
  (key) => ['zrevrangebylex', key, '+', '-'],
  (key) => ['zrevrangebyscore', key, '0', '0'],
  (key) => ['zscore', key, 'x'],
  // Refused at once for its type; on a sorted set that is empty it would wait.
  (key) => ['bzpopmin', key, '0.001'],
  (key) => ['eval', 'return 1', '1', key],
  // No such script: whoever may not call one hears that first.
  (key) => ['evalsha', '0'.repeat(40), '1', key],
  () => ['multi'],
  () => ['exec'],
  () => ['time'],
  () => ['ping'],
  () => ['info', 'memory'],
  // As the names of channels begin.
  (key) => ['publish', key, ''],
  (key) => ['unlink', key],
  (key) => ['del', key],
]

export const PROBED_COMMANDS: readonly string[] = PROBES.map((probe) => probe('key')[0])

/** The first right that is missing, as a sentence's end; undefined: none is. */
export async function findMissingRight(redis: Redis, root: string): Promise<string | undefined> {
  const key = `${root}:rights`
  const pipeline = redis.pipeline()
  for (const probe of PROBES) {
    const [command, ...args] = probe(key)
    pipeline.call(command, ...args)
  }
  const answers = (await pipeline.exec()) ?? []
  for (const [index, [error]] of answers.entries()) {
    if (!error?.message.startsWith('NOPERM')) continue
    if (/\bkeys?\b/.test(error.message)) return `use the keys ${root}* (~${root}*)`
    if (/\bchannels?\b/.test(error.message)) return `use the channels ${root}* (&${root}*)`
    return `send ${(PROBED_COMMANDS[index] ?? '').toUpperCase()} (+${PROBED_COMMANDS[index] ?? ''})`
  }
  // Last: a connection that listens sends nothing else.
  const refusal = await redis.subscribe(key).then(
    () => undefined,
    ({ message }: Error) => message,
  )
  if (refusal?.startsWith('NOPERM') !== true) return undefined
  return /\bchannels?\b/.test(refusal) ? `use the channels ${root}* (&${root}*)` : 'send SUBSCRIBE (+subscribe)'
}
