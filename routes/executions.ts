import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { cancelExecution, pauseExecution } from '../src/executions/control/cancel-execution.js'
import { deleteExecution } from '../src/executions/control/delete-execution.js'
import { toExecution, type ExecutionRecord } from '../src/executions/records/execution-record.js'
import {
  awaitExecution,
  getExecution,
  listExecutions,
  requireExecution,
} from '../src/executions/read/find-execution.js'
import { exportEvents, readEventPage } from '../src/executions/read/read-events.js'
import { submitExecution } from '../src/executions/submit/submit-execution.js'
import { ExecutorError, Problem, toInvalidRequest } from '../src/protocol/errors.js'
import { Execution, isTerminal, Outcome } from '../src/protocol/execution.js'
import { IDEMPOTENCY_KEY_LIMIT } from '../src/protocol/limits.js'
import { CSV, EVENT_STREAM, NDJSON, OPERATIONS } from '../src/protocol/operations.js'
import { toFilters, toHold } from '../src/protocol/rest-input.js'
import { shortenEvent } from '../src/rpc/shorten-event.js'
import { endLine, isForShell, negotiate, whileConnected } from './answers.js'
import { exportExecutions } from './export.js'
import { answerOf, mediaOf, routeOf } from './route-of.js'
import { sendEventStream } from './sse.js'

const DEFAULT_PAGE = 100

const tags = ['executions']
const OutcomeProblem = Problem.extend({ outcome: Outcome }).meta({
  id: 'OutcomeProblem',
  description: 'RFC 9457 problem details of an execution that did not succeed.',
})

/**
 * RFC 7240, `wait=N`: the name in any case, the value quoted or not. A preference that makes no sense counts as none.
 */
function readWait(request: FastifyRequest): number {
  const seconds = /(?:^|[,;])\s*wait\s*=\s*("?)(\d+)\1\s*(?=[,;]|$)/i.exec(
    [request.headers['prefer'] ?? ''].flat().join(','),
  )?.[2]
  return toHold(Number(seconds ?? 0))
}

function readIdempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key !== 'string' || key === '' || key.length > IDEMPOTENCY_KEY_LIMIT) {
    throw toInvalidRequest([{ path: 'Idempotency-Key', message: `must be 1 to ${IDEMPOTENCY_KEY_LIMIT} characters` }])
  }
  return key
}

/** Submit, watch, steer, read: the REST half of the protocol. */
export async function executionRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app
  const located = (id: string): string => `${services.config.basePath}/executions/${id}`

  for (const path of Object.keys(OPERATIONS.execute.rest.paths)) {
    app.route({
      ...routeOf(
        'execute',
        {
          tags,
          summary: path === '/execute' ? 'Submit an execution' : 'Submit an execution (the same as POST /execute)',
          description:
            'Answers 202 as soon as the execution is stored; it then runs independently of this connection. ' +
            '`Prefer: wait=N` answers 200 when it ends within N seconds (55 at most). `Accept: ' +
            'text/event-stream` answers with the events themselves. With `Idempotency-Key` a repeated request ' +
            'returns the same execution.',
          response: {
            200: answerOf(
              'execute',
              'It has ended within the time of Prefer: wait, or the Idempotency-Key was known (Idempotent-Replayed: true).',
            ),
            202: { description: 'Accepted.', content: { 'application/json': { schema: Execution } } },
          },
        },
        path,
      ),
      handler: async (request, reply) => {
        const stream = negotiate(request, reply, mediaOf('execute')) === EVENT_STREAM
        const waitMs = readWait(request) * 1_000
        const { execution, replayed } = await submitExecution(
          services,
          request.body,
          request.caller,
          readIdempotencyKey(request),
        )
        const headers = { location: located(execution.id), ...(replayed && { 'idempotent-replayed': 'true' }) }
        if (stream) return sendEventStream(services, request, reply, { executionId: execution.id, after: 0, headers })
        reply.headers(headers)
        if (waitMs === 0) return reply.code(replayed ? 200 : 202).send(execution)
        const record = await awaitExecution(services, execution.id, request.caller, waitMs, whileConnected(reply))
        reply.header('preference-applied', `wait=${waitMs / 1_000}`)
        return reply.code(replayed || isTerminal(record.state) ? 200 : 202).send(toExecution(record))
      },
    })
  }

  app.route({
    ...routeOf('execution.list', {
      tags,
      summary: 'List executions, newest first',
      description:
        'Filter by `status`, by time and by labels (`metadata.<label>=<value>`). Long prompts are ' +
        'shortened and results left out here. `Accept: text/csv` or `application/x-ndjson` (or `format`) ' +
        'exports.',
      response: {
        200: answerOf('execution.list', 'A page.'),
      },
    }),
    handler: async (request, reply) => {
      const filters = toFilters(request.query)
      const media = { json: 'application/json', csv: CSV, ndjson: NDJSON }
      const chosen = request.query.format
        ? media[request.query.format]
        : negotiate(request, reply, mediaOf('execution.list'))
      if (chosen === media.json) return listExecutions(services, filters, request.caller)
      const format = chosen === CSV ? 'csv' : 'ndjson'
      // Safe to bypass the declared JSON answer: an export is a stream of text.
      return reply
        .type(`${chosen}; charset=utf-8`)
        .send(Readable.from(await exportExecutions(services, filters, request.caller, format)) as never)
    },
  })

  app.route({
    ...routeOf('execution.get', {
      tags,
      summary: 'One execution',
      description: 'Its current state: position in the queue, usage, outcome.',
      response: { 200: answerOf('execution.get', 'The execution.') },
    }),
    handler: async (request) => getExecution(services, request.params.id, request.caller),
  })

  app.route({
    ...routeOf('execution.result', {
      tags,
      summary: 'The answer only',
      description:
        "Claude's answer without the execution around it; a problem if it did not succeed. Text is the exact " +
        'answer, whose SHA-256 is in the receipt; curl, wget and HTTPie get a newline after it, unless ' +
        '`Accept` names `text/plain`.',
      response: {
        200: {
          description: 'The answer: text, or in JSON mode the object.',
          content: {
            'text/plain': { schema: z.string() },
            'application/json': { schema: z.record(z.string(), z.unknown()) },
          },
        },
        422: {
          description: 'It did not succeed: `code` is that of the outcome, `outcome` the complete outcome.',
          content: { 'application/problem+json': { schema: OutcomeProblem } },
        },
      },
    }),
    handler: async (request, reply) => {
      const { id } = request.params
      const record = await awaitExecution(
        services,
        id,
        request.caller,
        (request.query.waitSeconds ?? 0) * 1_000,
        whileConnected(reply),
      )
      const { outcome } = record
      if (!outcome)
        throw new ExecutorError('NOT_FINISHED', {
          detail: `The execution is ${toExecution(record).status}; ask again, or with ?waitSeconds=50.`,
        })
      const { status, result = '' } = outcome
      if (status === 'succeeded') {
        if (typeof result !== 'string') return reply.type('application/json; charset=utf-8').send(result)
        const text = isForShell(request, reply, 'text/plain') ? endLine(result) : result
        return reply.type('text/plain; charset=utf-8').serializer(String).send(text)
      }
      const code = outcome.code ?? 'CLAUDE_EXITED'
      const body = {
        type: `urn:cc-executor:outcome:${code}`,
        title: 'The execution did not succeed.',
        status: 422,
        detail: outcome.message ?? code,
        code,
        retryable: false,
        requestId: request.id,
        outcome,
      }
      return reply.code(422).type('application/problem+json').send(body)
    },
  })

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
          .send(Readable.from(exportEvents(services, id, { after: after ?? 0, ...wanted })) as never)
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
        signal: whileConnected(reply),
        ...wanted,
      })
      // The events go out with their bytes as they are stored; only the page around them is new.
      const { nextAfter, hasMore, finished } = page
      // Safe: the text is an EventPage.
      const events = page.events
        .map(({ bytes }) => (bytes.length <= maxEventBytes ? bytes : shortenEvent(bytes, maxEventBytes)).toString())
        .join(',')
      const body = `{"events":[${events}],"nextAfter":${nextAfter},"hasMore":${hasMore},"finished":${finished}}\n`
      return reply
        .type('application/json; charset=utf-8')
        .serializer(String)
        .send(body as never)
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
    const { events } = await readEventPage(services, id, request.caller, {
      after,
      limit: 1,
      waitMs: 0,
      signal: AbortSignal.abort(),
      ...wanted,
    })
    return events.length > 0
  }

  const controls = {
    cancel: {
      summary: 'End an execution',
      description: 'Idempotent; a finished one is answered unchanged.',
      act: cancelExecution,
    },
    pause: {
      summary: 'Stop the processes of a running execution',
      description: 'Idempotent; its timeouts are suspended.',
      act: pause(true),
    },
    resume: { summary: 'Resume a paused execution', description: 'Idempotent.', act: pause(false) },
  } as const
  for (const name of ['cancel', 'pause', 'resume'] as const) {
    const { act, ...texts } = controls[name]
    const accepted = answerOf(`execution.${name}`, 'Accepted; watch the events for completion.')
    // A finished one is answered by cancel alone; pause and resume refuse it.
    const finished = name === 'cancel' && { 200: answerOf('execution.cancel', 'It had finished already.') }
    app.route({
      ...routeOf(`execution.${name}`, { tags, ...texts, response: { 202: accepted, ...finished } }),
      handler: async (request, reply) => {
        const { execution, hadEnded } = await act(services, request.params.id, request.caller, request.body?.reason)
        // Safe to bypass the declared answers: of routes made in a loop the types know only what all declare alike.
        return reply.code((hadEnded ? 200 : 202) as never).send(execution as never)
      },
    })
  }

  app.route({
    ...routeOf('execution.delete', {
      tags,
      summary: 'Delete a finished execution',
      description: 'Deletes its record, its events, and its workspace if it was created for this execution.',
      response: {
        204: z.null().meta({ description: 'Forgotten.' }),
        // A body has no meaning here, but one that cannot be read is refused like any other.
      },
    }),
    handler: async (request, reply) => {
      await deleteExecution(services, request.params.id, request.caller)
      return reply.code(204).send(null)
    },
  })
}

function pause(wanted: boolean): typeof cancelExecution {
  return async (services, id, caller, reason) => ({
    execution: await pauseExecution(services, id, caller, wanted, reason),
    hadEnded: false,
  })
}

function readCursor(lastEventId: string | undefined): number | undefined {
  if (lastEventId === undefined || lastEventId === '') return undefined
  if (!/^\d+$/.test(lastEventId))
    throw toInvalidRequest([{ path: 'Last-Event-ID', message: 'expected the seq of an event' }])
  return Number(lastEventId)
}
