import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import type { ExecutionRecord } from '../src/executions/records/execution-record.js'
import { requireExecution } from '../src/executions/read/find-execution.js'
import { exportEvents, readEventPage } from '../src/executions/read/read-events.js'
import { toInvalidRequest } from '../src/protocol/errors.js'
import { isTerminal } from '../src/protocol/execution.js'
import { EVENT_STREAM, NDJSON } from '../src/protocol/operations.js'
import { negotiate, whileConnected } from './answers.js'
import { toPageText } from './event-texts.js'
import { answerOf, mediaOf, routeOf } from './route-of.js'
import { sendEventStream } from './sse.js'
import { streamPages } from './stream-pages.js'

const DEFAULT_PAGE = 100
const NO_WAIT = AbortSignal.abort()
const tags = ['executions']

/** The events of an execution: a page, a long poll, all of the log, or a stream. */
export function eventRoutes(fastify: FastifyInstance): void {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.route({
    ...routeOf('execution.events', {
      tags,
      summary: 'Events after a cursor: a page, a long poll, or a live stream',
      description:
        'With `Accept: text/event-stream` Server-Sent Events, resumed by `Last-Event-ID` or `after`; the ' +
        'stream ends after the terminal event, and a reconnect behind it gets 204. With `Accept: ' +
        'application/x-ndjson` all events in the log, one per line, byte for byte as covered by the receipt. ' +
        'Otherwise a page; with `waitSeconds` a long poll.',
      response: {
        200: answerOf('execution.events', 'A page of events.'),
        204: z.null().meta({ description: 'No further events follow (event stream only).' }),
      },
    }),
    handler: async (request, reply) => {
      const { id } = request.params
      const { after, limit = DEFAULT_PAGE, waitSeconds = 0, types, maxEventBytes = Infinity } = request.query
      const wanted = types && { types: new Set<string>(types) }
      const media = negotiate(request, reply, mediaOf('execution.events'))
      if (media === NDJSON) {
        await requireExecution(services, id, request.caller)
        // Safe to bypass the declared JSON answer: an export is a stream of text.
        return reply
          .type(`${NDJSON}; charset=utf-8`)
          .send(streamPages(exportEvents(services, id, { after: after ?? 0, ...wanted })) as never)
      }
      if (media === EVENT_STREAM) {
        const cursor = readCursor(request.headers['last-event-id']) ?? after ?? 0
        const record = await requireExecution(services, id, request.caller)
        if (isTerminal(record.state) && !(await willFollow(request, record, cursor, wanted)))
          return reply.code(204).send(null)
        return sendEventStream(services, request, reply, { executionId: id, after: cursor, maxEventBytes, ...wanted })
      }
      const page = await readEventPage(services, id, request.caller, {
        after: after ?? 0,
        limit,
        waitMs: waitSeconds * 1_000,
        // A signal for each page that does not wait would be a tenth of its time.
        signal: waitSeconds > 0 ? whileConnected(reply) : NO_WAIT,
        ...wanted,
      })
      // Safe to bypass the declared JSON answer: the text is an EventPage.
      return reply.type('application/json; charset=utf-8').send(toPageText(page, maxEventBytes) as never)
    },
  })

  /**
   * With `types` a client's cursor never reaches the last seq: it would reconnect for ever if only that were looked at.
   */
  async function willFollow(
    request: FastifyRequest,
    { id, lastSeq }: ExecutionRecord,
    after: number,
    wanted: { types: ReadonlySet<string> } | undefined,
  ): Promise<boolean> {
    if (after >= lastSeq || !wanted) return after < lastSeq
    const { lines } = await readEventPage(services, id, request.caller, {
      after,
      limit: 1,
      waitMs: 0,
      signal: NO_WAIT,
      ...wanted,
    })
    return lines.length > 0
  }
}

function readCursor(lastEventId: string | undefined): number | undefined {
  if (lastEventId === undefined || lastEventId === '') return undefined
  if (!/^\d+$/.test(lastEventId))
    throw toInvalidRequest([{ path: 'Last-Event-ID', message: 'expected the seq of an event' }])
  return Number(lastEventId)
}
