import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { cancelExecution, pauseExecution } from '../src/executions/control/cancel-execution.js'
import { changeBudget } from '../src/executions/control/change-budget.js'
import { answerOf, routeOf } from './route-of.js'

const tags = ['executions']

/** What is asked of an execution that has not ended. */
export function steeringRoutes(fastify: FastifyInstance): void {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

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
    ...routeOf('execution.budget', {
      tags,
      summary: 'Set what an execution may spend',
      description:
        'Sets the limits for all its attempts together. One that is parked as `waiting_budget` continues in its ' +
        'session when they leave something to spend; a running one applies them when it reaches the limit that it ' +
        'was started with. Each change is an event and is named in the receipt.',
      response: { 200: answerOf('execution.budget', 'The limits are set.') },
    }),
    handler: async (request) => changeBudget(services, request.params.id, request.caller, request.body),
  })
}

function pause(wanted: boolean): typeof cancelExecution {
  return async (services, id, caller, reason) => ({
    execution: await pauseExecution(services, id, caller, wanted, reason),
    hadEnded: false,
  })
}
