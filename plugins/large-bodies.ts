import type { FastifyReply } from 'fastify'

/** What a prompt seldom is; shorter bodies never wait. */
export const LARGE_BODY_BYTES = 512 * 1024
/** An answer that is a stream goes on for as long as its execution; the body was dealt with long before. */
const TURN_MS = 5_000

/**
 * Large bodies are parsed and stored one after the other. Thirty of 8 MiB at once would take all of the process for
 * seconds: then what Redis has answered is read too late, and each is refused as STORE_UNAVAILABLE; and each would be
 * there several times over. Those that wait are held as the bytes that came.
 */
export function createTurns(): (reply: FastifyReply | undefined) => Promise<void> {
  const waiting: Array<() => void> = []
  let isTaken = false

  function release(): void {
    const next = waiting.shift()
    if (next) next()
    else isTaken = false
  }

  return async (reply) => {
    if (isTaken) await new Promise<void>((resolve) => waiting.push(resolve))
    isTaken = true
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      release()
    }
    const timer = setTimeout(end, TURN_MS).unref()
    const raw = reply?.raw
    // Whoever has gone meanwhile is told of no close any more.
    if (raw?.destroyed === true) end()
    else raw?.once('close', end)
  }
}
