import type { Redis } from 'ioredis'
import { DeadlineError } from './abort-signals.js'

/**
 * How long a caller of the API waits for Redis before it hears STORE_UNAVAILABLE.
 * The promise is "within a second" (design: executions).
 */
const COMMAND_DEADLINE_MS = 900
/** So many places of settled commands are given back at once. */
const DROPPED_AT_ONCE = 64

type Command = Parameters<Redis['sendCommand']>[0]

interface CommandTime {
  milliseconds: number
  /** What is under way has no more than a command that is sent now. */
  shorten(): void
}

const times = new WeakMap<Redis, CommandTime>()

/**
 * Until a process serves, nobody waits for an answer of its API: commands of its connection may take so long, and on a
 * busy machine a start does not fail for want of a second. The function ends it.
 */
export function waitLonger(redis: Redis, milliseconds: number): () => void {
  const time = times.get(redis)
  if (time) time.milliseconds = Math.max(milliseconds, COMMAND_DEADLINE_MS)
  return () => {
    if (!time) return
    time.milliseconds = COMMAND_DEADLINE_MS
    time.shorten()
  }
}

/**
 * Each command fails after COMMAND_DEADLINE_MS. Unlike ioredis' own `commandTimeout`, which a busy process sees expire
 * before it looks at the socket, what has been answered by then counts: timers come before reading in Node's loop, so
 * one more turn is granted.
 *
 * One timer serves all commands of a connection: each may take equally long, so the one to look at is the first that
 * is not settled. (A timer and two closures for each command took a tenth of the CPU of a submission.)
 */
export function limitCommandTime(redis: Redis): void {
  const send = redis.sendCommand.bind(redis)
  const sent: Array<{ readonly command: Command; until: number }> = []
  let first = 0
  let timer: NodeJS.Timeout | undefined

  /** The first that is not settled. Those before it are let go at once, not when the timer comes. */
  function findPending() {
    while (sent[first]?.command.isSettled === true) first++
    if (first >= DROPPED_AT_ONCE || first === sent.length) {
      sent.splice(0, first)
      first = 0
    }
    return sent[first]
  }
  function expire(now: number): void {
    for (let pending = findPending(); pending && pending.until <= now; pending = findPending())
      pending.command.reject(new DeadlineError(`Redis took longer than ${time.milliseconds} ms`))
    timer = undefined
    watch()
  }
  function watch(): void {
    const pending = timer ? undefined : findPending()
    if (!pending) return
    const left = Math.max(0, pending.until - performance.now())
    timer = setTimeout(() => setImmediate(expire, performance.now()), left)
    // Nobody waits for it alone: a command that is under way has a socket, or a connection that is tried again.
    timer.unref()
  }

  const time: CommandTime = {
    milliseconds: COMMAND_DEADLINE_MS,
    shorten() {
      const latest = performance.now() + COMMAND_DEADLINE_MS
      for (const pending of sent) pending.until = Math.min(pending.until, latest)
      clearTimeout(timer)
      timer = undefined
      watch()
    },
  }
  times.set(redis, time)
  redis.sendCommand = (command, stream) => {
    findPending()
    sent.push({ command, until: performance.now() + time.milliseconds })
    watch()
    return send(command, stream)
  }
}

/**
 * Redis answers a write of many commands when it has done them all; meanwhile the API, which waits for them all, has
 * nothing to do. With some at a time both work at once.
 */
const JOINED_AT_ONCE = 8

/**
 * What is sent in one turn of Node's loop leaves in few writes: the commands of requests that came together cost a call
 * of the kernel, here and in Redis, for several of them.
 */
export function joinWrites(redis: Redis): void {
  const send = redis.sendCommand.bind(redis)
  let held: Redis['stream'] | undefined
  let joined = 0
  let isDue = false
  function release(): void {
    held?.uncork()
    held = undefined
    joined = 0
  }
  function releaseAtEnd(): void {
    isDue = false
    release()
  }
  redis.sendCommand = (command, stream) => {
    if (held !== redis.stream) {
      release()
      held = redis.stream
      held?.cork()
      if (!isDue) setImmediate(releaseAtEnd)
      isDue = true
    }
    const sent = send(command, stream)
    joined += 1
    if (joined === JOINED_AT_ONCE) release()
    return sent
  }
}
