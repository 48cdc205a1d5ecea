// What `POST /execute` and the reading of a log are measured against: Fastify with nothing of ours.
// http-peer.js route | add SOCKET-OF-REDIS | file PATH; says its port.
import { createReadStream } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { Queue } from 'bullmq'
import { fastify } from 'fastify'
import { Redis } from 'ioredis'

const [mode, place = ''] = process.argv.slice(2)
const app = fastify()
const schema = {
  body: {
    type: 'object',
    required: ['prompt'],
    additionalProperties: false,
    properties: { prompt: { type: 'string', minLength: 1 } },
  },
} as const

if (mode === 'file')
  app.get('/file', (_request, reply) => reply.type('application/x-ndjson').send(createReadStream(place)))
else {
  const queue =
    mode === 'add' ? new Queue('bench', { connection: new Redis(place, { maxRetriesPerRequest: null }) }) : undefined
  app.post<{ Body: { prompt: string } }>('/execute', { schema }, async ({ body }, reply) => {
    const id = randomUUID()
    await queue?.add('execution', { prompt: body.prompt }, { jobId: id })
    return reply.code(202).send({ id, status: 'queued', prompt: body.prompt })
  })
}
const address = await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`port ${new URL(address).port}\n`)
