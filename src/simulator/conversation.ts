/**
 * Finds in a request where the conversation stands: the newest prompt, the replies already given to it, the last tool
 * result, the working directory. All of it is read from the request, nothing is remembered, so a conversation may be
 * resumed, forked or continued after a restart of the simulator.
 *
 * What follows was measured on Claude Code 2.1.197 and 2.1.332 (README.md, "What the CLI sends").
 */
import type { MessagesRequest, RequestBlock, RequestMessage } from './messages-request.js'
import { bringsScript } from './script.js'

export interface Conversation {
  /** The newest prompt of a person: all its text blocks, in lines; "" when there is none. */
  readonly prompt: string
  /** Which prompt of the conversation that is, from 1. */
  readonly promptNumber: number
  /** The replies it has had so far: the position in its script. */
  readonly position: number
  readonly lastToolResult: string
  /** Also of a call that was denied. */
  readonly lastToolFailed: boolean
  readonly workingDirectory?: string
}

const REMINDER_START = '<system-reminder>'
const REMINDER_END = '</system-reminder>'
// The executor's last block of a prompt (of a CLI's prompt only the last block is searched for commands and files).
const CLOSING_BLOCK = '(end of the task)'
const INTERRUPTION = '[Request interrupted by user'
// What the CLI says to the model by itself in a turn of the user's: it goes on with the script. The older CLI says it
// in
// a text block, the newer one mostly inside of a reminder.
const OWN_PROMPTS = [
  '[structured-output-enforce]',
  '<task-notification>',
  '[SYSTEM NOTIFICATION - NOT USER INPUT]',
  'Stop hook feedback:',
]
// Said to a reply which was without visible text, or cut at the limit of tokens. One that had no text left no assistant
// message behind, and is known by this alone.
const REPLY_WAS_SHORT = ['[Your previous response had no visible output', 'Output token limit hit.']
// Said by the newer CLI where the older one ends: the reply is to be given again, also where what it had said so far
// stands there as a message. So a script that refuses refuses again, and one that was cut goes on behind its cut.
const REPLY_IS_REPEATED = [
  'Your response above was stopped by a safety classifier',
  'Your response above was cut off mid-stream',
]
// Of a prompt that was killed or deferred: put between it and the next one, or behind the result of the deferred call.
const RESUMED = 'Continue from where you left off.'
// What stands for the answer that a killed prompt never got: no reply of the script's.
const NO_REPLY = 'No response requested.'
// What the CLI says of an image, behind the blocks of the prompt.
const IMAGE_NOTE = /^\[Image: (?:source:|original \d)/
// What the executor says by itself, with its closing block: it goes on with the script too.
const EXECUTOR_PROMPT = '[cc-executor]'

export function readConversation(request: MessagesRequest): Conversation {
  let prompt = ''
  let promptNumber = 0
  let position = 0
  let lastToolResult = ''
  let lastToolFailed = false
  // Whether the reply that the next block answers is counted, because it stands there as an assistant message.
  let replyIsCounted = false
  const reminders: string[] = []
  const environment: string[] = []

  /** True when the text is the CLI's own. */
  const readOwnWords = (text: string): boolean => {
    if (REPLY_WAS_SHORT.some((start) => text.startsWith(start))) position += replyIsCounted ? 0 : 1
    else if (REPLY_IS_REPEATED.some((start) => text.startsWith(start))) position -= replyIsCounted ? 1 : 0
    else if (!OWN_PROMPTS.some((start) => text.startsWith(start))) return false
    replyIsCounted = false
    return true
  }

  for (const message of request.messages) {
    if (message.role === 'assistant' && !isText(message, NO_REPLY)) {
      position += 1
      replyIsCounted = true
    }
    // From 2.1.332 on the environment, with the working directory, is a message of the role `system`.
    if (message.role === 'system')
      for (const block of message.blocks) if (block.kind === 'text') environment.push(block.text)
    if (message.role !== 'user') continue
    // Blocks of one message are one prompt, unless the CLI has merged prompts: one that ended in an error has no answer
    // that would separate it from the next. A closing block or another script tells them apart.
    let open = false
    let afterToolResult = false
    let fromExecutor = false
    for (const [index, block] of message.blocks.entries()) {
      if (block.kind === 'toolResult') {
        lastToolResult = block.text
        lastToolFailed = block.failed
        afterToolResult = true
        open = false
        replyIsCounted = false
      }
      if (block.kind !== 'text') continue
      const split = splitReminders(block.text)
      reminders.push(...split.reminders)
      for (const reminder of split.reminders) readOwnWords(reminder)
      const { text } = split
      if (text.trim() === '' || IMAGE_NOTE.test(text) || readOwnWords(text)) continue
      replyIsCounted = false
      if (text.trim() === RESUMED && !isClosingBlock(message.blocks[index + 1])) continue
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
  const workingDirectory = findWorkingDirectory([...request.system, ...environment, ...reminders], environment)
  return {
    prompt,
    promptNumber,
    position,
    lastToolResult,
    lastToolFailed,
    workingDirectory,
  }
}

function isText({ blocks }: RequestMessage, text: string): boolean {
  return blocks.length === 1 && blocks[0]?.kind === 'text' && blocks[0].text === text
}

function isClosingBlock(block: RequestBlock | undefined): boolean {
  return block?.kind === 'text' && block.text.trim() === CLOSING_BLOCK
}

/**
 * Requests beside the conversation: titles, quota probes, web pages to sum up, searches. They may quote the prompt with
 * its script, and must not consume a step of it. A run with `--tools ""` has no tools either, so that alone says
 * nothing.
 */
export function isSideRequest(request: MessagesRequest): boolean {
  if (request.callableTools > 0) return false
  if (request.serverTools > 0 || request.answerSchema !== undefined || request.maxTokens <= 1) return true
  const first = request.messages[0]?.blocks[0]
  return first?.kind === 'text' && (first.text.startsWith('<session>') || first.text.startsWith('Web page content:'))
}

// In order: the usual system prompt (or, with --exclude-dynamic-system-prompt-sections, a reminder), --bare, older
// CLIs.
const WORKING_DIRECTORY = [
  /^[ \t]*-?[ \t]*Primary working directory: (\/.*)$/m,
  /^CWD: (\/.*)$/m,
  /^[ \t]*-?[ \t]*Working directory: (\/.*)$/m,
]
const ENVIRONMENT_UPDATE = '# Environment update'

/** A session that goes on in another folder is told so by "# Environment update", its line `<new> (was <old>)`. */
function findWorkingDirectory(texts: readonly string[], updates: readonly string[]): string | undefined {
  let found: string | undefined
  for (const pattern of WORKING_DIRECTORY) {
    for (const text of texts) found ??= pattern.exec(text)?.[1]?.trimEnd()
  }
  for (const text of updates) {
    const updated = text.startsWith(ENVIRONMENT_UPDATE) ? WORKING_DIRECTORY[0]?.exec(text)?.[1]?.trimEnd() : undefined
    const before = ` (was ${found})`
    if (updated?.endsWith(before) === true) found = updated.slice(0, -before.length)
  }
  return found
}

/** The CLI puts its own context in front of a prompt, as blocks of its own or as the beginning of one. */
function splitReminders(block: string): { reminders: string[]; text: string } {
  let text = block
  const reminders: string[] = []
  while (text.trimStart().startsWith(REMINDER_START)) {
    const end = text.indexOf(REMINDER_END)
    if (end === -1) break
    reminders.push(text.slice(text.indexOf(REMINDER_START) + REMINDER_START.length, end).trim())
    text = text.slice(end + REMINDER_END.length)
  }
  return { reminders, text: reminders.length === 0 ? text : text.trimStart() }
}
