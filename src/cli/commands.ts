import { toRunner, type Command } from './command.js'
import { files } from './files.js'
import { list, show } from './list.js'
import { receipt } from './receipt.js'
import { report } from './report.js'
import { result } from './result.js'
import { run } from './run.js'
import { cancel, pause, resume } from './steer.js'
import { tail } from './tail.js'
import { token } from './token.js'
import { tokens } from './tokens.js'
import { undo } from './undo.js'
import { usage } from './usage.js'
import { verify } from './verify.js'
import { wait } from './wait.js'
import { workspaces } from './workspaces.js'

const COMMANDS = {
  run,
  tail,
  list,
  show,
  result,
  wait,
  cancel,
  pause,
  resume,
  files,
  undo,
  workspaces,
  receipt,
  verify,
  report,
  usage,
  token,
  tokens,
} satisfies Record<string, Command>
/** The column in which `cc-executor help` says what a command does. */
const COLUMN = 46

/** By name, for `src/main/cli.ts`. */
export const CLI_COMMANDS: Readonly<Record<string, (args: string[]) => Promise<void>>> = Object.fromEntries(
  Object.entries(COMMANDS).map(([name, command]) => [name, toRunner(command)]),
)

/** A line for each, as `cc-executor help` shows them. */
export const CLI_USAGE = Object.values(COMMANDS)
  .map(({ summary: [call, what] }) => `  ${call.padEnd(COLUMN)}${what}`)
  .join('\n')
