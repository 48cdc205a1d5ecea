/**
 * Prompts that the simulator answers as a model would, with real tool calls: for whoever tries the service without an
 * account. They are known by their words alone (case, spaces and a full stop do not count); README.md lists them.
 */
import type { Conversation } from './conversation.js'
import type { Reply } from './replies.js'

const HELLO = `def greet(name):
    return f"Hello, {name}!"


if __name__ == "__main__":
    print(greet("world"))
`
const HALF_MINUTE = { chunks: 12, delayMs: 2_500 }
const QUOTED_CHARACTERS = 300

type Play = (conversation: Conversation) => Reply

const talkForHalfAMinute = (text: string): Reply => [{ text, ...HALF_MINUTE }]

const inFolder = ({ workingDirectory }: Conversation, name: string): string =>
  workingDirectory === undefined ? name : `${workingDirectory}/${name}`

const quote = (text: string): string => Array.from(text.trim()).slice(0, QUOTED_CHARACTERS).join('')

/** The CLI's words for a file that Write may not replace before Read has shown it. */
const WANTS_READ = /has not been read yet/

/** Write; where the file is there already, Read and Write again, as the CLI demands. */
function writeFile(name: string, content: string, before: Reply, after: Reply): Play {
  return (conversation) => {
    const { position, lastToolFailed, lastToolResult } = conversation
    const path = inFolder(conversation, name)
    const write = { tool: 'Write', input: { file_path: path, content } } as const
    if (position === 0) return [...before, write]
    if (position === 1 && lastToolFailed && WANTS_READ.test(lastToolResult))
      return [{ text: `${name} is there already, I read it first.` }, { tool: 'Read', input: { file_path: path } }]
    // The first Write has succeeded at position 1, so position 2 comes only after Read.
    if (position === 2 && !lastToolFailed) return [write]
    return lastToolFailed ? [{ text: `${name} could not be written: ${quote(lastToolResult)}` }] : after
  }
}

/** One call of Bash, and what came of it. */
function runCommand(
  before: string,
  [command, description]: readonly [string, string],
  onSuccess: (result: string) => string,
  onFailure: (result: string) => string,
): Play {
  return ({ position, lastToolFailed, lastToolResult }) =>
    position === 0
      ? [{ text: before }, { tool: 'Bash', input: { command, description } }]
      : [{ text: (lastToolFailed ? onFailure : onSuccess)(quote(lastToolResult)) }]
}

/** Runs the file; where that is not permitted, reads it, which is. */
const testHello: Play = (conversation) => {
  const { position, lastToolFailed, lastToolResult } = conversation
  if (position === 0)
    return [
      { text: 'I run hello.py and look at what it prints.' },
      { tool: 'Bash', input: { command: 'python3 hello.py', description: 'Run hello.py' } },
    ]
  if (position > 1)
    return [
      {
        text: lastToolFailed
          ? `hello.py could neither be run nor read: ${quote(lastToolResult)}`
          : 'hello.py was only read, not run: to let me run it, allow the tool Bash(python3:*).',
      },
    ]
  if (!lastToolFailed) {
    const isRight = lastToolResult.trim() === 'Hello, world!'
    return [{ text: `The test ${isRight ? 'passed' : 'failed'}: hello.py printed "${quote(lastToolResult)}".` }]
  }
  if (!/requires? approval|permission|denied/i.test(lastToolResult))
    return [{ text: `The test failed: ${quote(lastToolResult)}` }]
  return [
    { text: 'I may not run it, so I read it.' },
    { tool: 'Read', input: { file_path: inFolder(conversation, 'hello.py') } },
  ]
}

const PLAYS: Readonly<Record<string, Play>> = {
  'write hello.py': writeFile(
    'hello.py',
    HELLO,
    [{ text: 'I write hello.py.' }],
    [{ text: 'hello.py is written; it prints "Hello, world!".' }],
  ),
  'test hello.py': testHello,
  'delete hello.py': runCommand(
    'I delete hello.py.',
    ['rm hello.py', 'Delete hello.py'],
    () => 'hello.py is deleted.',
    (result) => `hello.py is not deleted: ${result}`,
  ),
  'what is in this folder?': runCommand(
    'I look.',
    ['ls -A', 'List the folder'],
    (result) => (result === '' || /no output/i.test(result) ? 'The folder is empty.' : `The folder holds:\n${result}`),
    (result) => `The folder could not be listed: ${result}`,
  ),
  'work for a minute': writeFile(
    'minute.md',
    'Half of the minute is over.\n',
    talkForHalfAMinute('I work for a minute. After half of it I write minute.md, then I go on.\n'),
    talkForHalfAMinute('The second half of the minute has begun, and is over with this sentence.'),
  ),
  'try something forbidden': runCommand(
    'I run a program, which the default permissions do not allow.',
    ['node -e "console.log(6 * 7)"', 'Run a program'],
    (result) => `It was allowed here, and printed: ${result}`,
    (result) => `That was refused: ${result}`,
  ),
}

const CLOSING = /\n\(end of the task\)\s*$/

/** The play of a named prompt; undefined for any other. */
export function findPlay({ prompt }: Conversation): Play | undefined {
  const words = prompt.replace(CLOSING, '').trim().replace(/\s+/g, ' ').replace(/[.!]$/, '').toLowerCase()
  return Object.hasOwn(PLAYS, words) ? PLAYS[words] : undefined
}
