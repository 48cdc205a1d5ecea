import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { deleteExecution } from '../src/executions/control/delete-execution.js'
import { toExecution } from '../src/executions/records/execution-record.js'
import { awaitExecution, getExecution, listExecutions } from '../src/executions/read/find-execution.js'
import { submitExecution } from '../src/executions/submit/submit-execution.js'
import { ExecutorError, Problem } from '../src/protocol/errors.js'
import { Execution, isTerminal, Outcome } from '../src/protocol/execution.js'
import { CSV, EVENT_STREAM, NDJSON, OPERATIONS } from '../src/protocol/operations.js'
import { toFilters, toHold } from '../src/protocol/rest-input.js'
import { endLine, isForShell, negotiate, whileConnected } from './answers.js'
import { eventRoutes } from './events.js'
import { messageRoutes } from './messages.js'
import { exportExecutions } from './export.js'
import { readIdempotencyKey } from './idempotency-key.js'
import { answerOf, mediaOf, routeOf } from './route-of.js'
import { sendEventStream } from './sse.js'
import { steeringRoutes } from './steering.js'
import { definedFields } from '../src/protocol/defined-fields.js'

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
        const headers = definedFields({
          location: located(execution.id),
          'idempotent-replayed': replayed ? 'true' : undefined,
        })
        if (stream) return sendEventStream(services, request, reply, { executionId: execution.id, after: 0, headers })
        reply.headers(headers)
        if (waitMs === 0) return reply.code(replayed ? 200 : 202).send(execution)
        const record = await awaitExecution(services, execution.id, request.caller, waitMs, whileConnected(reply))
        // What was accepted is answered as that; what came of it since is no longer this token's to see.
        if (request.access.ended !== undefined) return reply.code(replayed ? 200 : 202).send(execution)
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
          detail:
            record.openApprovals.length > 0
              ? `The execution waits for a decision on ${record.openApprovals.join(', ')} (GET /approvals); try again afterwards.`
              : `The execution is ${toExecution(record).status}; ask again, or with ?waitSeconds=50.`,
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

  eventRoutes(fastify)
  messageRoutes(fastify)
  steeringRoutes(fastify)

  app.route({
    ...routeOf('execution.delete', {
      tags,
      summary: 'Delete a finished execution',
      description: 'Deletes its record, its events, and its workspace if it was created for this execution.',
      response: {
        204: z.null().meta({ description: 'Deleted.' }),
        // A body has no meaning here, but one that cannot be read is refused like any other.
      },
    }),
    handler: async (request, reply) => {
      await deleteExecution(services, request.params.id, request.caller)
      return reply.code(204).send(null)
    },
  })
}
