/**
 * Finds in a request where the conversation stands: the newest prompt, the replies already given to it, the last tool
 * result, the working directory. All of it is read from the request, nothing is remembered, so a conversation may be
 * resumed, forked or continued after a restart of the simulator.
 *
 * What follows was measured on Claude Code 2.1.197 (README.md, "What the CLI sends").
 */
import type { MessagesRequest } from './messages-request.js'
import { bringsScript } from './script.js'

export interface Conversation {
  /** The newest prompt of a person: all its text blocks, in lines; "" when there is none. */
  readonly prompt: string
  /** Which prompt of the conversation that is, from 1. */
  readonly promptNumber: number
  /** The replies it has had so far: the position in its script. */
  readonly position: number
  readonly lastToolResult: string
  readonly workingDirectory?: string
}

const REMINDER_START = '<system-reminder>'
const REMINDER_END = '</system-reminder>'
// The executor's last block of a prompt (of a CLI's prompt only the last block is searched for commands and files).
const CLOSING_BLOCK = '(end of the task)'
const INTERRUPTION = '[Request interrupted by user'
// A reply without visible text leaves no assistant message behind; the CLI appends this to the prompt instead.
const EMPTY_REPLY = '[Your previous response had no visible output'
// What the CLI says to the model by itself in a turn of the user's: it goes on with the script.
const OWN_PROMPTS = [
  EMPTY_REPLY,
  '[structured-output-enforce]',
  'Output token limit hit.',
  '<task-notification>',
  'Stop hook feedback:',
]
// What the executor says by itself, with its closing block: it goes on with the script too.
const EXECUTOR_PROMPT = '[cc-executor]'

export function readConversation(request: MessagesRequest): Conversation {
  let prompt = ''
  let promptNumber = 0
  let position = 0
  let lastToolResult = ''
  const reminders: string[] = []
  const environment: string[] = []

  for (const message of request.messages) {
    if (message.role === 'assistant') position += 1
    // From 2.1.332 on the environment, with the working directory, is a message of the role `system`.
    if (message.role === 'system') for (const block of message.blocks) if (block.kind === 'text') environment.push(block.text)
    if (message.role !== 'user') continue
    // Blocks of one message are one prompt, unless the CLI has merged prompts: one that ended in an error has no answer
    // that would separate it from the next. A closing block or another script tells them apart.
    let open = false
    let afterToolResult = false
    let fromExecutor = false
    for (const block of message.blocks) {
      if (block.kind === 'toolResult') {
        lastToolResult = block.text
        afterToolResult = true
        open = false
      }
      if (block.kind !== 'text') continue
      const { reminder, text } = splitReminder(block.text)
      if (reminder !== '') reminders.push(reminder)
      if (text.trim() === '') continue
      if (text.startsWith(EMPTY_REPLY)) position += 1
      if (OWN_PROMPTS.some(start => text.startsWith(start))) continue
      // An interrupted prompt without a reply and the next prompt share a message; this line is between them.
      if (text.startsWith(INTERRUPTION)) {
        open = false
        afterToolResult = false
        continue
      }
      // Text beside a tool's result is the tool's or the CLI's, not a new prompt.
      if (afterToolResult) continue
      fromExecutor ||= text.startsWith(EXECUTOR_PROMPT)
      if (fromExecutor) continue
      if (open && !bringsScript(text)) {
        prompt += `\n${text}`
      } else {
        prompt = text
        promptNumber += 1
        position = 0
      }
      open = text.trim() !== CLOSING_BLOCK
    }
  }
  const workingDirectory = findWorkingDirectory([...request.system, ...environment, ...reminders])
  return { prompt, promptNumber, position, lastToolResult, ...(workingDirectory === undefined ? {} : { workingDirectory }) }
}

/**
 * Requests beside the conversation: titles, quota probes, web pages to sum up, searches. They may quote the prompt with
 * its script, and must not consume a step of it. A run with `--tools ""` has no tools either, so that alone says nothing.
 */
export function isSideRequest(request: MessagesRequest): boolean {
  if (request.callableTools > 0) return false
  if (request.serverTools > 0 || request.answerSchema !== undefined || request.maxTokens <= 1) return true
  const first = request.messages[0]?.blocks[0]
  return first?.kind === 'text' && (first.text.startsWith('<session>') || first.text.startsWith('Web page content:'))
}

// In order: the usual system prompt (or, with --exclude-dynamic-system-prompt-sections, a reminder), --bare, older CLIs.
const WORKING_DIRECTORY = [
  /^[ \t]*-?[ \t]*Primary working directory: (\/.*)$/m,
  /^CWD: (\/.*)$/m,
  /^[ \t]*-?[ \t]*Working directory: (\/.*)$/m,
]

function findWorkingDirectory(texts: readonly string[]): string | undefined {
  for (const pattern of WORKING_DIRECTORY) {
    for (const text of texts) {
      const found = pattern.exec(text)?.[1]
      if (found !== undefined) return found.trimEnd()
    }
  }
  return undefined
}

/** The CLI puts its own context in front of a prompt, as a block of its own or as the beginning of one. */
function splitReminder(block: string): { reminder: string; text: string } {
  let text = block
  let reminder = ''
  while (text.trimStart().startsWith(REMINDER_START)) {
    const end = text.indexOf(REMINDER_END)
    if (end === -1) break
    reminder += text.slice(0, end)
    text = text.slice(end + REMINDER_END.length)
  }
  return { reminder, text: reminder === '' ? text : text.trimStart() }
}
