import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { ExecutionServices } from '../src/executions/services.js'

declare module 'fastify' {
  interface FastifyInstance {
    readonly services: ExecutionServices
  }
}

/** Hands the domain to the routes. Whoever opened the services closes them. */
export const servicesPlugin = plugin(
  async function services(app: FastifyInstance, { services }: { services: ExecutionServices }) {
    app.decorate('services', services)
  },
  { name: 'services' },
)
