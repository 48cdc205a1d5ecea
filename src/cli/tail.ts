import { parseArgs } from 'node:util'
import { EXIT_CODES, requireId, toWholeNumber, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { followToEnd } from './run.js'
import { createTextView, EVENTS_AS_JSON } from './show-events.js'

export const tail: Command = {
  summary: ['tail <id> [--after N]', 'follows an execution, from the beginning or from an event'],
  usage: `Usage: cc-executor tail [flags] <id>

Shows an execution to its end, as run does. Ctrl-C exits and does not affect the execution.

  --after N                       only the events after this seq
  --events                        prints every event as a line of JSON
${SERVICE_USAGE}

Exit code: as for run.`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SERVICE_FLAGS, after: { type: 'string' }, events: { type: 'boolean' } },
    })
    const executionId = requireId(positionals)
    const after = toWholeNumber('--after', values.after) ?? 0
    return withService(values.url, async (client) => {
      // First, so that an unknown id or a service that is away is told as such.
      await client.get(executionId)
      const outcome = await followToEnd(
        client,
        executionId,
        after,
        values.events ? EVENTS_AS_JSON : createTextView({ id: executionId, text: true, whole: after === 0 }),
      )
      // Nothing came: the cursor stood at the end already.
      const { status } = (outcome === 'left' ? undefined : outcome) ?? (await client.get(executionId))
      return status in EXIT_CODES ? EXIT_CODES[status as keyof typeof EXIT_CODES] : EXIT_CODES.failed
    })
  },
}
