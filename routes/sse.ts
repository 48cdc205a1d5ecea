import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ExecutionServices } from '../src/executions/services.js'
import { readQueuedBytes } from '../src/rpc/queued-bytes.js'
import { whileConnected } from './answers.js'
import { toEventStream } from './event-texts.js'

/** How long an EventSource waits before it connects anew; browsers' own defaults are three to five seconds. */
const RETRY_MS = 1_000
/** A comment so often keeps proxies from cutting a silent stream. */
const COMMENT_INTERVAL_MS = 15_000

/**
 * Sends an execution's events after a cursor as Server-Sent Events: unnamed frames, `id:` is the seq.
 * It ends after the terminal event, when the client goes, or when it takes nothing for the write deadline.
 */
export async function sendEventStream(
  services: ExecutionServices,
  request: FastifyRequest,
  reply: FastifyReply,
  {
    executionId,
    after,
    types,
    maxEventBytes = Infinity,
    headers = {},
  }: {
    executionId: string
    after: number
    types?: ReadonlySet<string>
    maxEventBytes?: number | undefined
    headers?: Record<string, string>
  },
): Promise<void> {
  const gone = whileConnected(reply)
  const { raw } = reply
  reply.hijack()
  for (const [name, value] of Object.entries({
    ...reply.getHeaders(),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
    ...headers,
  })) {
    if (value !== undefined) raw.setHeader(name, value)
  }
  raw.writeHead(200)
  // The head is the whole answer: it must not wait for the end of the run.
  if (request.method === 'HEAD') return void raw.end()
  raw.write(`retry: ${RETRY_MS}\n\n`)
  const comment = setInterval(() => raw.write(': still here\n\n'), COMMENT_INTERVAL_MS)
  const { figures } = services
  if (figures) figures.subscribers.sse += 1
  try {
    const shapeName = `sse ${maxEventBytes} ${types ? [...types].join() : '*'}`
    for await (const { chunk, shape } of services.feed.followChunks(executionId, after, gone)) {
      const frames = shape(shapeName, () => toEventStream(chunk, { types, maxEventBytes }))
      if (frames.length > 0 && !raw.write(frames))
        await roomOrGone(raw, gone, services.config.writeDeadlineSeconds * 1_000)
    }
  } catch (error) {
    request.log.debug({ executionId, err: error }, 'event stream ended early')
  } finally {
    if (figures) figures.subscribers.sse -= 1
    clearInterval(comment)
    raw.end()
  }
}

/**
 * A reader that takes nothing for so long is cut off; it comes back with its Last-Event-ID. One long event goes out in
 * parts, and each of them counts.
 */
function roomOrGone(raw: FastifyReply['raw'], gone: AbortSignal, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    let queued = readQueuedBytes(raw.socket ?? undefined)
    const destroyIfStuck = (): void => {
      const left = readQueuedBytes(raw.socket ?? undefined)
      if (left === queued) raw.destroy()
      queued = left
    }
    const deadline = setInterval(destroyIfStuck, deadlineMs)
    const finish = (): void => {
      clearInterval(deadline)
      raw.off('drain', finish)
      gone.removeEventListener('abort', finish)
      resolve()
    }
    raw.once('drain', finish)
    gone.addEventListener('abort', finish, { once: true })
    if (gone.aborted) finish()
  })
}
