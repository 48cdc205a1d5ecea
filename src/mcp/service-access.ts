import type { Client } from '../client/open-client.js'
import { ClientError } from '../client/client-error.js'

/** How the tools come to a service. It may go away at any time and come back at another address. */
export interface ServiceAccess {
  /**
   * A client of a service that answered just now; finds one, or starts one. @throws ClientError, also at the end of the
   * signal
   */
  join(signal: AbortSignal): Promise<Client>
  /** What `join` gave no longer answers: the next call looks anew. */
  forget(client: Client): void
}

/** What a service that ends, or another one in its place, answers. */
const IS_AWAY = new Set(['UNREACHABLE', 'BAD_ANSWER', 'CLIENT_CLOSED', 'SHUTTING_DOWN'])

/** Whether looking for the service anew may help. */
export const isAway = (error: unknown): error is ClientError => error instanceof ClientError && IS_AWAY.has(error.code)

/**
 * Asks the service, and again of another one when it goes away meanwhile; only for what may be asked twice. @throws
 * ClientError
 */
export async function askService<Answer>(
  access: ServiceAccess,
  signal: AbortSignal,
  ask: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  for (;;) {
    const client = await access.join(signal)
    try {
      return await ask(client)
    } catch (error) {
      if (!isAway(error)) throw error
      access.forget(client)
      if (signal.aborted) throw error
    }
  }
}
