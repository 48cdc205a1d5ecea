import { randomUUID } from 'node:crypto'
import type { ClientCapabilities } from '@modelcontextprotocol/server'
import { takesForms } from './ask-client.js'

/** The header in which clients of revisions before 2026 send back what the handshake gave them. */
export const SESSION_HEADER = 'mcp-session-id'

const TAKES_FORMS = 'forms-'
const TAKES_NONE = 'plain-'

/**
 * Nothing is kept for a session: what later requests must know of the handshake stands in the id itself, so that any
 * process answers them, also after a restart. It says what the client can do, and opens nothing: each request has its
 * token.
 */
export const toSessionId = (capabilities: ClientCapabilities | undefined): string =>
  `${takesForms(capabilities) ? TAKES_FORMS : TAKES_NONE}${randomUUID()}`

export const sessionTakesForms = (sessionId: string): boolean => sessionId.startsWith(TAKES_FORMS)
