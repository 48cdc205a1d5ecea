import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ExecutionServices } from '../src/executions/services.js'

/** How long an EventSource waits before it connects anew; browsers' own defaults are three to five seconds. */
const RETRY_MS = 1_000
/** A comment so often keeps proxies from cutting a silent stream. */
const COMMENT_INTERVAL_MS = 15_000

const toFrame = ({ seq, bytes }: { seq: number; bytes: Buffer }): Buffer => Buffer.concat([Buffer.from(`id: ${seq}\ndata: `), bytes, Buffer.from('\n\n')])

/**
 * Sends an execution's events after a cursor as Server-Sent Events: unnamed frames, `id:` is the seq.
 * It ends after the terminal event, when the client goes, or when it takes nothing for the write deadline.
 */
export async function sendEventStream(
  services: ExecutionServices,
  request: FastifyRequest,
  reply: FastifyReply,
  { executionId, after, types, headers = {} }: { executionId: string; after: number; types?: ReadonlySet<string>; headers?: Record<string, string> },
): Promise<void> {
  const gone = new AbortController()
  const { raw } = reply
  const onClose = (): void => gone.abort()
  raw.on('close', onClose)
  reply.hijack()
  for (const [name, value] of Object.entries({
    ...reply.getHeaders(),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    ...headers,
  })) {
    if (value !== undefined) raw.setHeader(name, value)
  }
  raw.writeHead(200)
  raw.write(`retry: ${RETRY_MS}\n\n`)
  const comment = setInterval(() => raw.write(': still here\n\n'), COMMENT_INTERVAL_MS)
  try {
    for await (const events of services.feed.follow(executionId, after, gone.signal)) {
      const wanted = types ? events.filter(({ type }) => types.has(type)) : events
      if (wanted.length === 0) continue
      if (!raw.write(Buffer.concat(wanted.map(toFrame)))) await roomOrGone(raw, gone, services.config.writeDeadlineSeconds * 1_000)
    }
  } catch (error) {
    request.log.debug({ executionId, error: String(error) }, 'event stream ended early')
  } finally {
    clearInterval(comment)
    raw.off('close', onClose)
    raw.end()
  }
}

/** A reader that takes nothing for so long is cut off; it comes back with its Last-Event-ID. */
function roomOrGone(raw: FastifyReply['raw'], gone: AbortController, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(deadline)
      raw.off('drain', finish)
      gone.signal.removeEventListener('abort', finish)
      resolve()
    }
    const deadline = setTimeout(() => {
      raw.destroy()
      gone.abort()
    }, deadlineMs)
    raw.once('drain', finish)
    gone.signal.addEventListener('abort', finish, { once: true })
  })
}
