import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { ClientError } from '../client/client-error.js'
import type { Client } from '../client/open-client.js'
import { definedFields } from '../protocol/defined-fields.js'
import type { Event } from '../protocol/events.js'
import type { Outcome } from '../protocol/execution.js'
import { openTerminalAsker } from './ask.js'
import { watchApprovals } from './watch-approvals.js'
import { EXIT_CODES, say, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { executeIn, findLocalFolder, HERE_FLAGS, HERE_USAGE, sayWhere } from './here.js'
import { printJson } from './print.js'
import { readTasks } from './read-tasks.js'
import { openTalk } from './talk.js'
import { createTextView, EVENTS_AS_JSON, type EventView } from './show-events.js'
import { readPrompt, REQUEST_FLAGS, REQUEST_USAGE, toRequest } from './run-flags.js'

const CANCEL_RETRY_MS = 1_000
/** EX_TEMPFAIL of sysexits: it goes on, and ends later. */
const WAITS_FOR_DECISION = 75

const usage = `Usage: cc-executor run [flags] "prompt"       (or the prompt on standard input)

Submits the prompt and follows the execution: text goes to stdout as it is generated, tools as short lines to stderr.
On a terminal each line that is typed meanwhile is sent to the run as a message (with --ask it is an answer).
If the answer is an object (--json-mode, --output-schema), only that is written to stdout.
Ctrl-C cancels the execution and waits for its end; a second Ctrl-C exits immediately.

  --json                          prints the finished execution as JSON instead of the text
  --events                        prints every event as a line of JSON instead
  --ask                           asks here, line by line on standard input, for what needs a permission
  --detach                        prints the id and exits
  --tasks FILE                    a task list instead of the prompt: a JSON array, or one prompt per line; - reads standard input
  --idempotency-key KEY           the same key and request give the same execution
${HERE_USAGE}
${REQUEST_USAGE}
${SERVICE_USAGE}

Exit code: 0 succeeded, 1 failed (with --on-permission-denied fail also where a tool call was denied), 124 timed out, 130 cancelled, 75 it waits for a decision, 2 wrong usage, 69 service unreachable.`

/** Follows to the end, or until the signal aborts. @throws ClientError, after a word on how to come back */
export async function followToEnd(
  client: Client,
  executionId: string,
  after: number,
  view: EventView,
  leave?: AbortSignal,
): Promise<Outcome | 'left' | undefined> {
  let cursor = after
  let outcome: Outcome | undefined
  try {
    for await (const event of client.follow(executionId, {
      after,
      signal: leave,
      onInterrupted: () => say('connection lost; reconnecting'),
      onFallback: () => say('a proxy blocks WebSockets; receiving the events over plain HTTP (SSE)'),
    })) {
      view.show(event)
      cursor = event.seq
      if (leave?.aborted) return 'left'
      if (event.type === 'execution.finished') outcome = (event as Event<'execution.finished'>).data.outcome
    }
  } catch (error) {
    if (leave?.aborted) return 'left'
    if ((error as ClientError).retryable)
      say(`the execution is still running; follow it with: cc-executor tail ${executionId} --after ${cursor}`)
    throw error
  }
  return outcome
}

/** The first Ctrl-C asks, the second leaves at once; so does whoever stops us with SIGTERM. */
function onInterrupt(ask: () => void): void {
  let hasAsked = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (hasAsked) process.exit(EXIT_CODES.cancelled)
      hasAsked = true
      ask()
    })
  }
}

/** The service may be coming back just now; the request is idempotent. */
async function cancel(client: Client, executionId: string): Promise<void> {
  for (;;) {
    try {
      await client.cancel(executionId, { reason: 'Ctrl-C' })
      return
    } catch (error) {
      const { code, retryable, message } = error as ClientError
      // Closed: it has ended, or the service is given up.
      if (code === 'CLIENT_CLOSED') return
      if (!retryable) return say(`it could not be cancelled: ${message}`)
    }
    await delay(CANCEL_RETRY_MS)
  }
}

export const run: Command = {
  summary: ['run [flags] "prompt"', 'runs a prompt and shows its text as it is generated; see run --help'],
  usage,
  async run(args) {
    const options = {
      ...REQUEST_FLAGS,
      ...SERVICE_FLAGS,
      ...HERE_FLAGS,
      json: { type: 'boolean' },
      events: { type: 'boolean' },
      ask: { type: 'boolean' },
      detach: { type: 'boolean' },
      'idempotency-key': { type: 'string' },
      tasks: { type: 'string' },
      label: { type: 'string', multiple: true },
    } as const
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
    const {
      url,
      json = false,
      events = false,
      ask = false,
      detach = false,
      'idempotency-key': idempotencyKey,
      tasks,
      label = [],
      here,
      yes = false,
      ...flags
    } = values
    if (events && (json || detach)) throw new UsageError('--events cannot be combined with --json or --detach')
    if (tasks !== undefined && positionals.length > 0) throw new UsageError('give either a prompt or --tasks, not both')
    if (ask && detach) throw new UsageError('--ask cannot be combined with --detach')
    if (ask && positionals.length === 0 && tasks === undefined)
      throw new UsageError('--ask reads standard input: give the prompt as an argument')
    const folder = await findLocalFolder(here, flags.workspace)
    const request = toRequest(
      tasks === undefined ? { prompt: await readPrompt(positionals) } : await readTasks(tasks),
      definedFields({
        ...flags,
        'on-permission-needed': ask ? 'ask' : flags['on-permission-needed'],
        workspace: folder ?? flags.workspace,
        metadata: label.length > 0 ? [...(flags.metadata ?? []), ...label] : flags.metadata,
      }),
    )

    return withService(url, async (client) => {
      let executionId: string | undefined
      let isCancelled = false
      if (!detach) {
        onInterrupt(() => {
          isCancelled = true
          say('cancelling; Ctrl-C again exits immediately')
          if (executionId !== undefined) void cancel(client, executionId)
        })
      }
      const execution = await executeIn(client, folder, yes, request, {
        idempotencyKey,
      })
      if (!events && (!detach || folder !== undefined)) sayWhere(folder, request, execution.id)
      if (detach) {
        if (json) printJson(execution)
        else process.stdout.write(`${execution.id}\n`)
        return EXIT_CODES.succeeded
      }
      executionId = execution.id
      if (isCancelled) void cancel(client, executionId)
      if (!events) process.stderr.write(`execution ${executionId}${execution.simulated ? ' (simulated)' : ''}\n`)
      const answersInJson = request.json === true || request.outputSchema !== undefined
      const view = events
        ? EVENTS_AS_JSON
        : createTextView({ id: executionId, text: !json, answersInJson, whole: true })
      const asker = ask ? openTerminalAsker(client) : undefined
      // A prompt that was typed has used the terminal's input up, a list reads no messages, and answers are none.
      const isTalking = tasks === undefined && positionals.length > 0 && !ask
      const endTalk = isTalking ? openTalk(client, executionId) : undefined
      const leave = new AbortController()
      const watch = watchApprovals(client, (event, isOfTask) => {
        if (isOfTask && !events) view.show(event)
        if (asker) asker.note(event)
        else if (event.type === 'approval.requested') leave.abort()
      })
      const outcome = await followToEnd(
        client,
        executionId,
        0,
        {
          show(event) {
            view.show(event)
            watch.note(event)
          },
        },
        leave.signal,
      ).finally(() => {
        watch.close()
        asker?.close()
        endTalk?.()
      })
      if (json) printJson(await client.get(executionId))
      if (outcome === 'left') {
        say(`the execution waits for a decision; follow it with: cc-executor tail ${executionId}`)
        return WAITS_FOR_DECISION
      }
      return EXIT_CODES[outcome?.status ?? 'failed']
    })
  },
}
