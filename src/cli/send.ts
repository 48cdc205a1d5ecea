import { parseArgs } from 'node:util'
import { definedFields } from '../protocol/defined-fields.js'
import { describeMessage } from '../protocol/messages.js'
import { toAttachments } from './attach.js'
import { EXIT_CODES, requireId, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { printJson } from './print.js'
import { readPrompt } from './run-flags.js'

const usage = `Usage: cc-executor send [flags] <id> "text"       (or the text on standard input)

Sends a message to an execution: Claude reads it after its next tool call, or as its next turn.

  --attach FILE                   an image or a PDF (repeatable)
  --follow-up                     instead: a new execution on the same session, after the earlier ones; prints its id
  --or-follow-up                  a message that arrives too late becomes such an execution
  --idempotency-key KEY           the same key and text are one message
  --json                          prints the message as JSON
${SERVICE_USAGE}

Exit code: 0 accepted, 1 dropped because the execution has ended, 2 wrong usage, 69 service unreachable.`

export const send: Command = {
  summary: ['send <id> "text"', 'sends a message to an execution while it runs'],
  usage,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...SERVICE_FLAGS,
        'follow-up': { type: 'boolean' },
        'or-follow-up': { type: 'boolean' },
        'idempotency-key': { type: 'string' },
        attach: { type: 'string', multiple: true },
        json: { type: 'boolean' },
      },
    })
    const { 'follow-up': isFollowUp = false, 'or-follow-up': orFollowUp = false, json = false } = values
    if (isFollowUp && orFollowUp) throw new UsageError('give either --follow-up or --or-follow-up, not both')
    const executionId = requireId(positionals.slice(0, 1))
    const attachments = values.attach && toAttachments(values.attach)
    const text = await readPrompt(positionals.slice(1))
    return withService(values.url, async (client) => {
      const message = await client.send(
        executionId,
        definedFields({
          text,
          attachments,
          delivery: isFollowUp ? ('follow_up' as const) : undefined,
          onDropped: orFollowUp ? ('follow_up' as const) : undefined,
        }),
        definedFields({ idempotencyKey: values['idempotency-key'] }),
      )
      if (json) printJson(message)
      else process.stdout.write(`${isFollowUp ? (message.followUpId ?? '') : describeMessage(message)}\n`)
      return message.status === 'dropped' && message.followUpId === undefined ? EXIT_CODES.failed : EXIT_CODES.succeeded
    })
  },
}
