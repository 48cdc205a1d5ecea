import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { admitFolder } from '../src/executions/submit/admit-folder.js'
import { Admission, AdmissionRequest } from '../src/protocol/admission.js'
import { json, problems, WITH_BODY } from './answers.js'

/** Folders of the machine in which runs of a token may work. */
export async function workspaceRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.post(
    '/workspaces/admissions',
    {
      config: { scope: 'execute' },
      schema: {
        tags: ['executions'],
        operationId: 'admitFolder',
        summary: 'Lets runs of this token work in a folder of this machine',
        description:
          'For `cc-executor run --here`: the caller proves, by a secret in the data folder, that he is the user of ' +
          'the service on its machine; a token alone admits nothing. Kept in the data folder (`admitted-folders`, a ' +
          'line each) until the line is deleted. Switched off by `CC_EXECUTOR_ALLOW_HERE=false`.',
        body: AdmissionRequest,
        response: {
          200: json('Admitted, now or before.', Admission),
          ...problems('UNAUTHENTICATED', 'FORBIDDEN', ...WITH_BODY),
        },
      },
    },
    async (request) => admitFolder(services, request.body, request.caller),
  )
}
