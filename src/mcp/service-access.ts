import type { Client } from '../client/open-client.js'
import { ClientError } from '../client/client-error.js'

/** What tools and resources ask of a service: through a client, or of the service that they are a part of. */
export type ToolService = Pick<
  Client,
  | 'url'
  | 'execute'
  | 'get'
  | 'list'
  | 'cancel'
  | 'receipt'
  | 'send'
  | 'approvals'
  | 'approval'
  | 'decide'
  | 'queue'
  | 'health'
  | 'ready'
  | 'follow'
>

/** How the tools come to a service. It may go away at any time and come back at another address. */
export interface ServiceAccess {
  /**
   * A service that answered just now; finds one, or starts one. @throws ClientError, also at the end of the signal
   */
  join(signal: AbortSignal): Promise<ToolService>
  /** What `join` gave no longer answers: the next call looks for it. */
  forget(service: ToolService): void
  /** false: its token lacks the scope approve, so nobody is asked for a decision. */
  readonly mayDecide?: boolean
  /** Aborted when this process stops: calls that wait answer with what they know. */
  readonly stopping?: AbortSignal
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
  ask: (service: ToolService) => Promise<Answer>,
): Promise<Answer> {
  for (;;) {
    const service = await access.join(signal)
    try {
      return await ask(service)
    } catch (error) {
      if (!isAway(error)) throw error
      access.forget(service)
      if (signal.aborted) throw error
    }
  }
}
