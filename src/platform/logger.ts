import { pino, type Logger } from 'pino'
import { NO_SECRETS, type SecretMask } from './secret-mask.js'

export type { Logger }

/**
 * Type, message and stack, with those of the causes, and the code: no other field. Those that ioredis throws carry the
 * arguments of their command, prompts and answers among them.
 */
function toLoggedError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error)
  const { type, message, stack } = pino.stdSerializers.err(error)
  return { type, message, stack, code: (error as NodeJS.ErrnoException).code }
}

/** The trace of the execution that a line tells of. */
function toTrace(line: object, traceOf: (executionId: string) => string | undefined): object {
  const traceId = 'executionId' in line && typeof line.executionId === 'string' ? traceOf(line.executionId) : undefined
  return traceId === undefined ? {} : { traceId }
}

/**
 * `traceOf`: the trace of an execution, which its lines bear.
 *
 * Structured lines on stderr: stdout belongs to what a command answers. Never a prompt, an answer or a token. */
export function createLogger(
  level: string,
  name: string,
  mask: SecretMask = NO_SECRETS,
  traceOf?: (executionId: string) => string | undefined,
): Logger {
  return pino(
    {
      mixin: traceOf && ((line) => toTrace(line, traceOf)),
      level,
      base: { process: name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      // Whatever an error says: what was handed to the service to be kept is not in it.
      hooks: { streamWrite: (line) => mask.line(line.trimEnd()) + '\n' },
      // Header values are secrets; a serializer that does not take them cannot leak them.
      serializers: {
        err: toLoggedError,
        req: (request: { method?: string; url?: string; id?: unknown }) => ({
          method: request.method,
          url: request.url?.split('?')[0],
        }),
      },
    },
    pino.destination({ dest: 2, sync: false }),
  )
}
