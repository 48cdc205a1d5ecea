import type { ExecuteRequest } from '../../protocol/execute-request.js'
import { toInvalidRequest } from '../../protocol/errors.js'
import { parseNumber } from '../../protocol/numbers.js'
import { toRecord } from '../json-shape.js'
import { splitToolRules } from './tool-rules.js'

export type OutputFormat = 'text' | 'json' | 'stream-json'

export interface CommandFlags {
  /** Unchecked: the values as they were written, to be parsed as a request. */
  readonly request: Readonly<Record<string, unknown>>
  /** Field → the flag that set it, so that an error names what the caller wrote. */
  readonly origin: Readonly<Record<string, string>>
  readonly outputFormat: OutputFormat
  readonly includePartialMessages: boolean
}

interface Draft {
  readonly request: Record<string, unknown>
  readonly origin: Record<string, string>
  outputFormat: OutputFormat
  includePartialMessages: boolean
}

interface Flag {
  /** How many words it takes: none, one, or (as the CLI does) all up to the next flag. */
  readonly takes: 'nothing' | 'one' | 'many'
  readonly apply: (draft: Draft, values: readonly string[], name: string) => void
}

const ignored: Flag = { takes: 'nothing', apply: () => {} }

function toField(field: keyof ExecuteRequest, read: (value: string, name: string) => unknown = (value) => value): Flag {
  return { takes: 'one', apply: (draft, [value = ''], name) => setField(draft, field, read(value, name), name) }
}

function toRules(field: 'allowedTools' | 'disallowedTools'): Flag {
  return {
    takes: 'many',
    apply: (draft, values, name) => {
      const earlier = draft.request[field]
      setField(draft, field, [...(Array.isArray(earlier) ? earlier : []), ...values.flatMap(splitToolRules)], name)
    },
  }
}

const skipPermissions: Flag = {
  takes: 'nothing',
  apply: (draft, _values, name) => setField(draft, 'permissionMode', 'bypassPermissions', name),
}

const mcpConfig: Flag = {
  takes: 'many',
  apply: (draft, values, name) => {
    const servers = values.map((value): Record<string, unknown> => {
      if (!value.trimStart().startsWith('{'))
        throw refuseFlag(`${name} takes the configuration itself, {"mcpServers":{…}}, not a file path`)
      const config = parseJson(value, name)
      const keys = Object.keys(config)
      if (keys.length !== 1 || keys[0] !== 'mcpServers')
        throw refuseFlag(`${name} takes an object with the single key mcpServers`)
      const record = toRecord(config['mcpServers'])
      if (record === undefined) throw refuseFlag(`${name}: mcpServers must be an object`)
      return record
    })
    setField(draft, 'mcpServers', Object.assign({}, draft.request['mcpServers'], ...servers), name)
  },
}

const permissionMode: Flag = {
  takes: 'one',
  // The skip flag wins in the CLI, whichever comes first.
  apply: (draft, [value], name) => {
    if (draft.origin['permissionMode'] !== '--dangerously-skip-permissions')
      setField(draft, 'permissionMode', value, name)
  },
}

const outputFormat: Flag = {
  takes: 'one',
  apply: (draft, [value], name) => {
    if (value !== 'text' && value !== 'json' && value !== 'stream-json')
      throw refuseFlag(`${name} must be text, json or stream-json`)
    draft.outputFormat = value
  },
}

const inputFormat: Flag = {
  takes: 'one',
  apply: (_draft, [value], name) => {
    if (value !== 'text') throw refuseFlag(`${name} must be text: the prompt is part of the command`)
  },
}

const resume: Flag = {
  takes: 'one',
  apply: (draft, [value = ''], name) => {
    if (isFlag(value)) throw refuseFlag(`${name} needs the id of an execution or of a Claude session`)
    setField(draft, 'session', { ...toRecord(draft.request['session']), resume: value }, name)
  },
}

const forkSession: Flag = {
  takes: 'nothing',
  apply: (draft, _values, name) =>
    setField(draft, 'session', { ...toRecord(draft.request['session']), fork: true }, draft.origin['session'] ?? name),
}

const partialMessages: Flag = {
  takes: 'nothing',
  apply: (draft) => {
    draft.includePartialMessages = true
  },
}

/** The allow-list. Whatever is not here is refused: the CLI has flags which read and run files of the host. */
const FLAGS = new Map<string, Flag>([
  ['-p', ignored],
  ['--print', ignored],
  ['--verbose', ignored],
  ['--model', toField('model')],
  ['--fallback-model', toField('fallbackModel')],
  ['--effort', toField('effort')],
  ['--system-prompt', toField('systemPrompt')],
  ['--append-system-prompt', toField('appendSystemPrompt')],
  ['--max-turns', toField('maxTurns', toNumber)],
  ['--max-budget-usd', toField('maxBudgetUsd', toNumber)],
  ['--allowedTools', toRules('allowedTools')],
  ['--allowed-tools', toRules('allowedTools')],
  ['--disallowedTools', toRules('disallowedTools')],
  ['--disallowed-tools', toRules('disallowedTools')],
  ['--permission-mode', permissionMode],
  ['--dangerously-skip-permissions', skipPermissions],
  ['--agents', toField('agents', parseJson)],
  ['--json-schema', toField('outputSchema', parseJson)],
  ['--mcp-config', mcpConfig],
  ['--output-format', outputFormat],
  ['--input-format', inputFormat],
  ['--include-partial-messages', partialMessages],
  ['-r', resume],
  ['--resume', resume],
  ['--fork-session', forkSession],
])

const CONTINUE_INSTEAD =
  'many conversations run here in parallel, so the latest may not be yours; use --resume with the id ' +
  'of an execution'

/** What to do instead of a flag that is refused. */
const INSTEAD: Readonly<Record<string, string>> = {
  '-c': CONTINUE_INSTEAD,
  '--continue': CONTINUE_INSTEAD,
  '--add-dir': 'use the field workspace to choose the folder',
  '--allow-dangerously-skip-permissions': 'use the field permissionMode',
  '--append-system-prompt-file': 'use the field appendSystemPrompt',
  '--max-budget': 'use --max-budget-usd',
  '--session-id': 'every execution has a separate session; its id is in the execution',
  '--system-prompt-file': 'use the field systemPrompt',
  '--timeout': 'use the field timeoutSeconds',
  '--tools': 'use the field disallowedTools',
  '--strict-mcp-config': 'it is always enabled, unless the operator trusts workspaces',
}

/** Words which the CLI takes for its own subcommands when they come first. */
const SUBCOMMANDS = new Set([
  'agents',
  'auth',
  'auto-mode',
  'doctor',
  'gateway',
  'install',
  'mcp',
  'plugin',
  'plugins',
  'project',
  'setup-token',
  'ultrareview',
  'update',
  'upgrade',
])

/**
 * Reads the words of a `claude …` command line as the CLI's own parser (commander) does: a flag with a value takes
 * the next word whatever it looks like, a variadic one all words up to the next flag, `--flag=value` exactly one,
 * and after `--` nothing is a flag.
 */
export function parseCommandFlags(words: readonly string[]): CommandFlags {
  const [program, ...rest] = words
  if (program !== 'claude')
    throw refuseFlag(
      `the program must be claude${program === undefined ? '' : `, not ${shorten(program)}`}; other ` +
        'programs are never run',
    )
  const draft: Draft = { request: {}, origin: {}, outputFormat: 'text', includePartialMessages: false }
  const prompts: string[] = []
  let asksToPrint = false

  while (rest.length > 0) {
    const word = rest.shift() ?? ''
    if (word === '--') {
      prompts.push(...rest.splice(0))
    } else if (isFlag(word)) {
      const equals = word.startsWith('--') ? word.indexOf('=') : -1
      const name = equals < 0 ? word : word.slice(0, equals)
      const flag = FLAGS.get(name)
      if (flag === undefined)
        throw refuseFlag(
          `the flag ${shorten(name)} is not allowed here${INSTEAD[name] === undefined ? '' : `: ${INSTEAD[name]}`}`,
        )
      asksToPrint ||= name === '-p' || name === '--print'
      flag.apply(draft, equals < 0 ? takeValues(flag, name) : [takeInline(flag, name, word.slice(equals + 1))], name)
    } else {
      prompts.push(word)
    }
  }

  const [prompt] = prompts
  if (prompt === undefined || prompt === '')
    throw refuseFlag(
      "the prompt is missing; write claude -p 'what to do', with the prompt before flags that take several " +
        'words (--allowedTools, --mcp-config)',
    )
  if (!asksToPrint && SUBCOMMANDS.has(prompt))
    throw refuseFlag(`claude ${prompt} is a subcommand of the CLI; only prompts are run here: claude -p '…'`)
  if (prompts.length > 1)
    throw refuseFlag(`there is more than one prompt (${prompts.length} words); put the whole prompt in quotes`)
  setField(draft, 'prompt', prompt, 'the prompt')
  if (draft.origin['session'] === '--fork-session')
    throw refuseFlag('--fork-session needs --resume with the id of the execution or session to fork')
  return draft

  function takeValues(flag: Flag, name: string): string[] {
    if (flag.takes === 'nothing') return []
    const first = rest.shift()
    if (first === undefined) throw refuseFlag(`${name} needs a value`)
    if (flag.takes === 'one') return [first]
    const end = rest.findIndex(isFlag)
    return [first, ...rest.splice(0, end < 0 ? rest.length : end)]
  }
}

function isFlag(word: string): boolean {
  return word.length > 1 && word.startsWith('-')
}

function takeInline(flag: Flag, name: string, value: string): string {
  if (flag.takes === 'nothing') throw refuseFlag(`${name} takes no value`)
  return value
}

function setField(draft: Draft, field: keyof ExecuteRequest, value: unknown, name: string): void {
  draft.request[field] = value
  draft.origin[field] = name
}

function toNumber(value: string, name: string): number {
  const number = parseNumber(value)
  if (!Number.isFinite(number)) throw refuseFlag(`${name} must be a number`)
  return number
}

function parseJson(value: string, name: string): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    throw refuseFlag(`${name} is not valid JSON`)
  }
  const record = toRecord(parsed)
  if (record === undefined) throw refuseFlag(`${name} must be a JSON object`)
  return record
}

function shorten(word: string): string {
  return word.length > 60 ? `${word.slice(0, 60)}…` : word
}

function refuseFlag(message: string) {
  return toInvalidRequest([{ path: 'command', message }], 'COMMAND_NOT_ALLOWED')
}
