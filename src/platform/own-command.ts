import { accessSync, constants, existsSync, realpathSync } from 'node:fs'
import { delimiter, isAbsolute, join, sep } from 'node:path'
import { checkoutDirectory } from './own-folders.js'
import { quoteForShell } from './shell-quote.js'

/** As messages write it, whoever reads them. */
const NAME = 'cc-executor'
const BIN_OF_NPM = join('node_modules', '.bin')

/** Where the name leads to this very package: a folder of PATH, if any. */
function findOnPath(path: string): string | undefined {
  const own = realpathSync(checkoutDirectory())
  return path.split(delimiter).find((folder) => {
    try {
      if (!isAbsolute(folder)) return false
      accessSync(join(folder, NAME), constants.X_OK)
      return realpathSync(join(folder, NAME)).startsWith(own.endsWith(sep) ? own : own + sep)
    } catch {
      return false
    }
  })
}

/** How whoever reads this calls this program: from outside of a container, in a package, in a checkout. */
export function ownCommand(environment: NodeJS.ProcessEnv = process.env): string {
  const { CC_EXECUTOR_PART: part, PATH: path = '' } = environment
  if (part) return `docker compose exec ${part} ${NAME}`
  const folder = findOnPath(path)
  // npm puts this folder into the PATH of what it starts, and a shell has it not.
  if (folder !== undefined) return folder.endsWith(BIN_OF_NPM) ? `npx ${NAME}` : NAME
  return `node ${quoteForShell(join(checkoutDirectory(), 'dist/src/main/cli.js'))}`
}

/** The program's commands; other words behind its name make a sentence. */
export const COMMAND_NAMES =
  'start|api|worker|mcp|config|doctor|help|run|list|show|tail|wait|result|cancel|pause|resume|files|patch|' +
  'receipt|report|usage|verify|token|tokens|undo|workspaces|worktrees|budget|approvals|approve|deny|send|schedule|webhook'
const CALL = new RegExp(String.raw`(?<![\w./'-]|Usage: )${NAME} (?=(?:${COMMAND_NAMES})\b)`, 'g')

/** A message for a person at this machine: the calls in it as they work there. */
export function nameCalls(text: string, environment: NodeJS.ProcessEnv = process.env): string {
  const named = text.replaceAll(CALL, () => `${ownCommand(environment)} `)
  if (environment['CC_EXECUTOR_PART']) return named.replaceAll(/\bnpm start\b(?! --)/g, 'docker compose up -d')
  // A package has no sources to build and nobody stands in its folder.
  if (existsSync(join(checkoutDirectory(), 'tsconfig.json'))) return named
  return named
    .replaceAll(/\bnpm start\b(?: --)?/g, () => `${ownCommand(environment)} start`)
    .replaceAll(
      /\bnpm run setup\b(?! --prefix| \(in)/g,
      () => `npm run setup --prefix ${quoteForShell(checkoutDirectory())}`,
    )
}
