import { nameCalls } from '../platform/own-command.js'
import { toRemedy } from '../protocol/denials.js'
import type { EventData, Event, EventType } from '../protocol/events.js'
import { toFlags } from './flag-words.js'
import { sayHowToDecide } from './show-approval.js'
import { toLine, toPrintable } from './print.js'

/** Half a remedy is none. */
const REMEDY_LENGTH = 1_000

const sayHowToRaise = (id: string): string => ` To raise it: cc-executor budget ${id} --max-budget-usd USD`

export interface EventView {
  show(event: Event): void
}

/** Every event as it is, one a line. */
export const EVENTS_AS_JSON: EventView = { show: (event) => void process.stdout.write(`${JSON.stringify(event)}\n`) }

const is = <Type extends EventType>(event: Event, type: Type): event is Event<Type> => event.type === type

/** The text blocks of an assistant's own message; a subagent's stay with its caller. */
function textOf({ message }: EventData<'claude.message'>): string {
  if (message['type'] !== 'assistant' || typeof message['parent_tool_use_id'] === 'string') return ''
  // The CLI's own format, outside the protocol: every step is looked at.
  const content = (message['message'] as { content?: unknown } | undefined)?.content
  if (!Array.isArray(content)) return ''
  return content
    .map((block: { type?: unknown; text?: unknown } | null) =>
      block?.type === 'text' && typeof block.text === 'string' ? block.text : '',
    )
    .join('')
}

interface TextViewOptions {
  /** The execution whose events they are. */
  readonly id: string
  /** Without it only the notes on stderr. */
  readonly text: boolean
  /** The answer is an object: it alone goes to stdout, what is said on the way to it to stderr. */
  readonly answersInJson?: boolean
  /** The events are seen from the first one on: then a result that no event told is printed at the end. */
  readonly whole: boolean
}

/** The assistant's text on stdout as it is written, what else happens as short lines on stderr. */
export function createTextView({ id, text: showsText, answersInJson = false, whole }: TextViewOptions): EventView {
  const { stdout, stderr } = process
  const said = answersInJson ? stderr : stdout
  let isLineOpen = false
  let hasPrinted = false
  let message: number | undefined
  let sawDelta = false

  function write(text: string, to: NodeJS.WriteStream = said): void {
    if (!showsText || text === '') return
    to.write(to.isTTY ? toPrintable(text) : text)
    hasPrinted = true
    isLineOpen = !text.endsWith('\n')
  }

  function endLine(): void {
    if (isLineOpen) said.write('\n')
    isLineOpen = false
  }

  function note(text: string, length?: number): void {
    // Both on one screen: the note would stand in the middle of a sentence.
    if (said.isTTY || said === stderr) endLine()
    stderr.write(`${toLine(text, length)}\n`)
  }

  function noteServers({ servers }: EventData<'mcp.status'>): void {
    for (const { name, status, error } of servers)
      if (status !== 'connected') note(`! MCP server ${name} is not connected: ${error ?? status}`)
  }

  function noteApproval({ approval }: EventData<'approval.requested'>): void {
    note(`? ${approval.tool} ${JSON.stringify(approval.input)}`)
    note(`  ${sayHowToDecide(approval)}`, REMEDY_LENGTH)
  }

  function finish({ data: { outcome } }: Event<'execution.finished'>): void {
    const { result = '', status } = outcome
    if (typeof result === 'object') {
      endLine()
      write(`${JSON.stringify(result, undefined, 2)}\n`, stdout)
    } else if (whole && !hasPrinted && status === 'succeeded') write(result)
    endLine()
    if (outcome.status === 'succeeded') return
    // Whole: it names the remedy.
    const code = outcome.code === undefined ? '' : ` (${outcome.code})`
    const message = outcome.message === undefined ? '' : `: ${toPrintable(toFlags(outcome.message))}`
    stderr.write(`${outcome.status}${code}${message}\n`)
  }

  return {
    show(event) {
      if (is(event, 'text.delta')) {
        if (message !== event.data.message) endLine()
        message = event.data.message
        sawDelta = true
        write(event.data.text)
      } else if (is(event, 'claude.message')) {
        const text = textOf(event.data)
        if (text === '') return
        // With partialText: false nothing was streamed.
        if (!sawDelta) {
          endLine()
          write(text)
        }
        sawDelta = false
      } else if (is(event, 'text.reset')) {
        endLine()
        note('the answer was cut off and starts again')
      } else if (is(event, 'tool.started')) note(`> ${event.data.name} ${event.data.input}`)
      else if (is(event, 'tool.finished') && event.data.isError)
        note(`! ${event.data.name} failed after ${(event.data.durationMs / 1_000).toFixed(1)} s`)
      else if (is(event, 'approval.requested')) noteApproval(event.data)
      else if (is(event, 'approval.decided'))
        note(`${event.data.decision === 'deny' ? 'denied' : 'allowed'} by ${event.data.by}`)
      else if (is(event, 'approval.expired')) note('! nobody decided in time')
      else if (is(event, 'mcp.status')) noteServers(event.data)
      else if (is(event, 'tool.denied'))
        note(`! ${event.data.tool} was denied; ${toFlags(toRemedy(event.data.allowWith))}`, REMEDY_LENGTH)
      else if (is(event, 'hook.finished') && event.data.exitCode !== 0)
        note(
          `! hook ${event.data.name} (${event.data.stage}) ` +
            (event.data.exitCode === null ? event.data.ending.replace('_', ' ') : `exited with ${event.data.exitCode}`),
        )
      else if (is(event, 'background.waiting')) note(event.data.message)
      else if (is(event, 'background.finished'))
        note(`background task ${event.data.id} (${event.data.kind}) ${event.data.status}`)
      else if (is(event, 'output')) note(event.data.data)
      else if (is(event, 'log.truncated'))
        note(
          `! ${event.data.droppedBytes} bytes of output were omitted (${event.data.reason} limit ` +
            `${event.data.limit})`,
        )
      else if (is(event, 'execution.queued') && event.data.position > 1) note(`queued, place ${event.data.position}`)
      else if (is(event, 'execution.retrying'))
        note(
          `${event.data.message ?? event.data.reason} Attempt ${event.data.nextAttempt} ` +
            `follows${event.data.notBefore === undefined ? '' : ` after ${event.data.notBefore}`}.`,
        )
      else if (is(event, 'execution.parked')) {
        const { reason, until, message = `It waits for: ${reason}.` } = event.data
        note(
          nameCalls(`parked until ${until}: ${message}${reason === 'budget' ? sayHowToRaise(id) : ''}`),
          REMEDY_LENGTH,
        )
      } else if (is(event, 'execution.unparked')) note(`unparked by ${event.data.by}`)
      else if (is(event, 'execution.budget_changed')) note(`budget changed by ${event.data.by}`)
      else if (
        is(event, 'execution.paused') ||
        is(event, 'execution.resumed') ||
        is(event, 'execution.cancel_requested')
      ) {
        note(
          `${event.type.replace('execution.', '').replace('_', ' ')} by ` +
            `${event.data.by}${event.data.reason === undefined ? '' : `: ${event.data.reason}`}`,
        )
      } else if (is(event, 'task.started'))
        note(nameCalls(`task ${event.data.index} started: cc-executor tail ${event.data.executionId}`), REMEDY_LENGTH)
      else if (is(event, 'task.finished'))
        note(
          `task ${event.data.index} ${event.data.status}${event.data.code === undefined ? '' : ` (${event.data.code})`}`,
        )
      else if (is(event, 'message.accepted')) note(`message from ${event.data.by}: ${event.data.text}`)
      else if (is(event, 'message.dropped'))
        note(
          `! message ${event.data.messageId} was not read (${event.data.detail ?? event.data.reason})` +
            (event.data.followUpId === undefined ? '' : `; it becomes ${event.data.followUpId}`),
        )
      else if (is(event, 'execution.finished')) finish(event)
    },
  }
}
