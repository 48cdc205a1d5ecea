import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { ClientError } from '../client/client-error.js'
import { listUpTo } from '../client/list-up-to.js'
import type { Client } from '../client/open-client.js'
import type { Execution, TerminalStatus } from '../protocol/execution.js'
import { isTerminal } from '../protocol/terminal-status.js'
import { EXIT_CODES, toMetadata, toWholeNumber, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { toEnd } from './result.js'

/** One answer is held for this long, and asked for again. */
const HOLD_SECONDS = 50
/** More with one label are no batch; all of them are looked at once more at the end. */
const MOST = 10_000

/** The end of one, however long it takes. */
async function untilFinished(client: Client, executionId: string, signal: AbortSignal): Promise<Execution> {
  for (;;) {
    const execution = await client.get(executionId, { signal })
    if (isTerminal(execution.status)) return execution
    try {
      await client.result(executionId, { wait: HOLD_SECONDS, signal })
    } catch (error) {
      // Not finished yet, or finished otherwise: the execution itself says so. Safe: a client throws nothing else.
      const { code, retryable } = error as ClientError
      if (signal.aborted || code === 'UNAUTHENTICATED' || code === 'EXECUTION_NOT_FOUND') throw error
      if (retryable && code !== 'NOT_FINISHED') await delay(1_000, undefined, { signal })
    }
  }
}

async function listLabelled(client: Client, metadata: Record<string, string>): Promise<string[]> {
  const { executions } = await listUpTo(client, MOST, { metadata })
  return executions.map(({ id }) => id).toReversed()
}

export const wait: Command = {
  summary: ['wait <id>... | --label K=V', 'waits until the executions have finished'],
  usage: `Usage: cc-executor wait [flags] <id>...       (or --label K=V for all that have the label)

Prints one line for each execution when it has finished: id, status, code, denied tool calls.

  --label LABEL=VALUE             all executions with this label, including those submitted meanwhile; if repeated, all labels must match
  --timeout SECONDS               for this long at most
${SERVICE_USAGE}

Exit code: 0 all succeeded, 1 one failed, 124 one timed out or the wait did, 130 one was cancelled; the first that applies.`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...SERVICE_FLAGS,
        label: { type: 'string', multiple: true },
        metadata: { type: 'string', multiple: true },
        timeout: { type: 'string' },
      },
    })
    const labels = toMetadata([...(values.label ?? []), ...(values.metadata ?? [])])
    const isLabelled = Object.keys(labels).length > 0
    if (isLabelled === positionals.length > 0 || positionals.some((id) => id.trim() === ''))
      throw new UsageError('expected the ids of executions, or --label')
    const seconds = toWholeNumber('--timeout', values.timeout)
    const signal = seconds === undefined ? new AbortController().signal : AbortSignal.timeout(seconds * 1_000)
    return withService(values.url, async (client) => {
      const ends = new Map<string, TerminalStatus>()
      const next = async (): Promise<string[]> =>
        (isLabelled ? await listLabelled(client, labels) : positionals).filter((id) => !ends.has(id))
      try {
        for (let ids = await next(); ids.length > 0; ids = await next())
          for (const id of new Set(ids)) {
            const execution = await untilFinished(client, id, signal)
            // Safe: it is finished.
            ends.set(id, execution.status as TerminalStatus)
            process.stdout.write(`${id}  ${toEnd(execution)}\n`)
          }
      } catch (error) {
        if (!signal.aborted) throw error
        process.stderr.write(`cc-executor: not finished after ${seconds} s\n`)
        return EXIT_CODES.timed_out
      }
      if (ends.size === 0) process.stderr.write('cc-executor: no execution has this label\n')
      const failed = [...ends.values()].find((status) => status !== 'succeeded')
      return ends.size === 0 ? EXIT_CODES.failed : EXIT_CODES[failed ?? 'succeeded']
    })
  },
}
