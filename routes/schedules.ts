import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { getSchedule, listSchedules } from '../src/executions/schedules/find-schedule.js'
import {
  changeSchedule,
  createSchedule,
  removeSchedule,
  runSchedule,
} from '../src/executions/schedules/manage-schedules.js'
import { definedFields } from '../src/protocol/defined-fields.js'
import { readIdempotencyKey } from './idempotency-key.js'
import { answerOf, routeOf } from './route-of.js'

const tags = ['schedules']

/** Executions that begin by themselves. */
export async function scheduleRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app
  const { basePath } = services.config

  app.route({
    ...routeOf('schedule.create', {
      tags,
      summary: 'Make a schedule',
      description:
        'Starts `request` at each moment of `cron` or every `everySeconds`, with the rights and the budget that its ' +
        'token has then. Each planned moment starts one execution at most, and each that starts none is reported ' +
        'with the reason. The request is looked at now as well. With `Idempotency-Key` a repeated request makes no ' +
        'second schedule.',
      response: {
        200: answerOf('schedule.get', 'The Idempotency-Key was known (Idempotent-Replayed: true).'),
        201: answerOf('schedule.create', 'Made.'),
      },
    }),
    handler: async (request, reply) => {
      const key = readIdempotencyKey(request)
      const { schedule, replayed } = await createSchedule(services, request.body, request.caller, key)
      reply.headers(
        definedFields({
          location: `${basePath}/schedules/${schedule.id}`,
          'idempotent-replayed': replayed ? 'true' : undefined,
        }),
      )
      return reply.code(replayed ? 200 : 201).send(schedule)
    },
  })

  app.route({
    ...routeOf('schedule.list', {
      tags,
      summary: 'List schedules, newest first',
      description: 'Those of the token; of all tokens with the scope admin.',
      response: { 200: answerOf('schedule.list', 'A page.') },
    }),
    handler: async (request) => listSchedules(services, request.query, request.caller),
  })

  app.route({
    ...routeOf('schedule.get', {
      tags,
      summary: 'One schedule',
      description: 'With its last ten moments and what became of each.',
      response: { 200: answerOf('schedule.get', 'The schedule.') },
    }),
    handler: async (request) => getSchedule(services, request.params.id, request.caller),
  })

  app.route({
    ...routeOf('schedule.change', {
      tags,
      summary: 'Change, pause or resume a schedule',
      description:
        'A JSON merge patch; `enabled: false` pauses. Moments while it is paused are not made up for, and those that ' +
        'are due and not settled when it is paused or planned differently are reported as skipped.',
      response: { 200: answerOf('schedule.change', 'As it is now.') },
    }),
    handler: async (request) => changeSchedule(services, request.params.id, request.body, request.caller),
  })

  app.route({
    ...routeOf('schedule.remove', {
      tags,
      summary: 'Remove a schedule',
      description: 'Executions that it has started continue, and are kept.',
      response: { 204: z.null().meta({ description: 'Removed.' }) },
    }),
    handler: async (request, reply) => {
      await removeSchedule(services, request.params.id, request.caller)
      return reply.code(204).send(null)
    },
  })

  app.route({
    ...routeOf('schedule.run', {
      tags,
      summary: 'Start an execution of a schedule now',
      description:
        'Whatever `enabled` and `overlap` say; with `overlap` `queue` or `cancel` it waits until the others of the ' +
        'schedule have ended. No planned moment is used up by it.',
      response: {
        200: answerOf('schedule.run', 'The Idempotency-Key was known (Idempotent-Replayed: true).'),
        202: answerOf('schedule.run', 'Accepted.'),
      },
    }),
    handler: async (request, reply) => {
      const key = readIdempotencyKey(request)
      const { execution, replayed } = await runSchedule(services, request.params.id, request.caller, key)
      reply.headers(
        definedFields({
          location: `${basePath}/executions/${execution.id}`,
          'idempotent-replayed': replayed ? 'true' : undefined,
        }),
      )
      return reply.code(replayed ? 200 : 202).send(execution)
    },
  })
}
