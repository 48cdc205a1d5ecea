import { parseArgs } from 'node:util'
import type { Execution } from '../protocol/execution.js'
import { isTerminal } from '../protocol/terminal-status.js'
import { EXIT_CODES, requireId, say, type Command } from './command.js'
import { toFlags } from './flag-words.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { toPrintable } from './print.js'

/** The answer as text; an object as JSON. */
export function toAnswer({ outcome }: Execution): string {
  const { result = '' } = outcome ?? {}
  return typeof result === 'string' ? result : JSON.stringify(result)
}

export const countDenials = ({ outcome }: Execution): number =>
  outcome?.permissionDenialCount ?? outcome?.permissionDenials?.length ?? 0

/** `succeeded`, or what it was instead, and what a success may conceal. */
export function toEnd(execution: Execution): string {
  const { status, outcome } = execution
  const denials = countDenials(execution)
  return `${status}${outcome?.code === undefined ? '' : ` (${outcome.code})`}${denials === 0 ? '' : `, ${denials} denied`}`
}

export const result: Command = {
  summary: ['result <id>', 'prints only the answer'],
  usage: `Usage: cc-executor result [flags] <id>

Prints only the answer, an object as JSON; all other messages go to stderr.
${SERVICE_USAGE}

Exit code: 0 succeeded, 1 failed or not finished (cc-executor wait ID waits), 124 timed out, 130 cancelled.`,
  async run(args) {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: SERVICE_FLAGS })
    const executionId = requireId(positionals)
    return withService(values.url, async (client) => {
      const execution = await client.get(executionId)
      const { status, outcome } = execution
      if (!isTerminal(status)) {
        say(`${executionId} is ${status}; cc-executor wait ${executionId} waits for its end`)
        return EXIT_CODES.failed
      }
      const answer = toAnswer(execution)
      if (answer !== '') process.stdout.write(`${process.stdout.isTTY ? toPrintable(answer) : answer}\n`)
      if (status !== 'succeeded' || countDenials(execution) > 0)
        say(toPrintable(`${toEnd(execution)}${outcome?.message === undefined ? '' : `: ${toFlags(outcome.message)}`}`))
      return EXIT_CODES[status]
    })
  },
}
