import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs, parseEnv } from 'node:util'
import { asksForHelp, toUsageFault } from '../cli/command.js'
import { CLI_COMMANDS } from '../cli/commands.js'
import { nearestWord } from '../cli/nearest-word.js'
import { ConfigError, readConfig } from '../platform/config.js'
import { nameCalls } from '../platform/own-command.js'
import { VERSION } from '../platform/version.js'
import { settle } from './lifecycle/memory.js'
import { isChild, serve, tellParent } from './lifecycle/serve.js'
import { untilStopped } from './lifecycle/signals.js'
import { PROCESS_USAGE, readUsage } from './terminal/usage.js'

/** A wrong call: exit code 2, and where help is. */
class UsageError extends Error {}

const say = (text: string): void => void process.stderr.write(`cc-executor: ${nameCalls(text)}\n`)

/** `.env` is read by npm start only; what is set already stays. */
function loadEnvFile(): void {
  let text
  try {
    text = readFileSync('.env', 'utf8')
  } catch (error) {
    // Safe: readFileSync throws errno exceptions.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new ConfigError('.env cannot be read.')
    return
  }
  // Some editors begin a file with a byte order mark, which process.loadEnvFile takes for a part of the first name.
  const variables = parseEnv(text.replace(/^\u{feff}/u, ''))
  for (const [name, value] of Object.entries(variables)) process.env[name] ??= value
}

/** A folder that is not there is a slip of the pen, which else the first run would tell. */
function requireFolder(root: string): void {
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory())
    throw new ConfigError(`--root: ${root} is not a folder; create it first, or choose another one.`)
}

// What only one command needs is loaded by that command: Fastify and BullMQ take longer to load than the others to
// answer.

async function runStart(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      simulate: { type: 'boolean', default: false },
      open: { type: 'boolean', default: false },
      root: { type: 'string', multiple: true, default: [] },
      'on-demand': { type: 'boolean', default: false },
    },
  })
  const onDemand = values['on-demand']
  // Started for somebody else, wherever that one stands: the .env there is none of ours.
  if (!onDemand) loadEnvFile()
  // Under npm the working directory is the package's; INIT_CWD is where the user stood.
  const roots = values.root.map((root) => resolve(process.env['INIT_CWD'] ?? process.cwd(), root))
  for (const root of roots) requireFolder(root)
  const environment = { ...process.env }
  if (values.open) environment['CC_EXECUTOR_AUTH'] = 'open'
  if (roots.length > 0) {
    const allowed = [environment['CC_EXECUTOR_ALLOWED_ROOTS'], ...roots]
    environment['CC_EXECUTOR_ALLOWED_ROOTS'] = allowed.filter((root) => root).join(',')
  }
  const stopped = untilStopped({ child: false })
  // The first time the CLI is tried out, which takes seconds.
  if (process.stderr.isTTY) say('starting Redis, the API and a worker …')
  const [{ openStart }, { printBanner }] = await Promise.all([import('./start.js'), import('./terminal/banner.js')])
  let isIdle: (why: string) => void = () => undefined
  const idle = new Promise<string>((resolve) => {
    isIdle = resolve
  })
  const giveUp = new AbortController()
  void stopped.then(() => giveUp.abort())
  const starting = openStart({
    environment,
    simulate: values.simulate,
    onDemand,
    onIdle: () => isIdle('idle'),
    onRestart: (name, how) => say(`the ${name} ended (${how}); starting it again`),
    signal: giveUp.signal,
  })
  // Asked to stop before it serves: whatever was started by then has ended before this process does.
  const started = await starting.catch((error: unknown) => {
    if (!giveUp.signal.aborted) throw error
  })
  if (!started) return
  await printBanner(started)
  void settle()
  try {
    const why = await Promise.race([stopped, idle])
    say(
      `stopping (${why}); running executions get ${started.config.drainSeconds}s, a second Ctrl-C stops ` +
        'them immediately',
    )
  } finally {
    await started.close()
  }
}

async function runMcp(args: string[]): Promise<void> {
  const { serveMcp } = await import('./mcp.js')
  await serveMcp(args)
}

async function runApi(args: string[]): Promise<void> {
  parseArgs({ args })
  const { openApi } = await import('./api.js')
  await serve(say, async (config, redisUrl) => {
    const { url, tokenCreated, tokenPlace, idle, close } = await openApi(config, redisUrl)
    void idle.then(() => tellParent({ kind: 'idle' }))
    const sentence = `API on ${url}, docs at ${url}/docs; ${tokenPlace}`
    return { info: { url, tokenCreated }, sentence, close }
  })
}

async function runWorker(args: string[]): Promise<void> {
  parseArgs({ args })
  const { openWorker } = await import('./worker.js')
  await serve(say, async (config, redisUrl, signal) => {
    const { state, close } = await openWorker(config, redisUrl, signal)
    return {
      info: state,
      sentence:
        `worker ${state.id}: ${state.concurrency} at once, containment ${state.containment.level}. ` +
        `${state.claude.message}. ${state.authentication.message}`,
      close,
    }
  })
}

async function printConfig(args: string[]): Promise<void> {
  parseArgs({ args })
  const { describeConfig } = await import('../platform/describe-config.js')
  for (const { name, value, isMasked, origin, description } of describeConfig(readConfig()))
    process.stdout.write(`${name}=${isMasked ? '(set)' : (value ?? '(unset)')}\n    ${description} (${origin})\n`)
}

async function runDoctor(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { simulate: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  })
  const { diagnose, toLine, NOT_LOOKED_AT } = await import('./doctor/diagnose.js')
  const environment = { ...process.env }
  // No address of a simulator is asked for: it only says that no credentials are needed.
  if (values.simulate) environment['CC_EXECUTOR_SIMULATOR_URL'] = 'http://127.0.0.1'
  const found = await diagnose(environment)
  const findings = found.map(({ remedy, ...finding }) => ({
    ...finding,
    remedy: remedy === undefined ? undefined : nameCalls(remedy),
  }))
  const isWell = findings.every(({ status }) => status !== 'failed')
  const text = values.json
    ? JSON.stringify({ ok: isWell, findings }, undefined, 2)
    : [...findings.map(toLine), ...(values.simulate ? [] : [NOT_LOOKED_AT])].join('\n')
  process.stdout.write(`${text}\n`)
  if (!isWell) process.exitCode = 1
}

const COMMANDS: Record<string, (args: string[]) => Promise<void> | void> = {
  start: runStart,
  api: runApi,
  worker: runWorker,
  mcp: runMcp,
  config: printConfig,
  doctor: runDoctor,
  ...CLI_COMMANDS,
}

async function main([name, ...args]: string[]): Promise<void> {
  if (name === undefined || name === 'help' || name === '--help' || name === '-h')
    return void process.stdout.write(`${await readUsage()}\n`)
  if (name === '--version' || name === '-v') return void process.stdout.write(`${VERSION}\n`)
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!command) {
    const meant = nearestWord(name, Object.keys(COMMANDS))
    throw new UsageError(
      `unknown command ${JSON.stringify(name)}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    )
  }
  const usage = Object.hasOwn(PROCESS_USAGE, name) ? PROCESS_USAGE[name] : undefined
  if (usage !== undefined && asksForHelp(args)) return void process.stdout.write(`${usage}\n`)
  await command(args)
}

function report(error: unknown, [name = '']: string[]): void {
  const isUsage =
    error instanceof UsageError ||
    (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
  process.exitCode = isUsage ? 2 : 1
  // Under `start` the parent tells what its children could not do.
  if (isChild) return
  say(
    error instanceof Error ? (isUsage ? toUsageFault(error, PROCESS_USAGE[name] ?? '') : error.message) : String(error),
  )
  if (isUsage) process.stderr.write(`\n${nameCalls(toHint(name))}\n`)
}

const toHint = (name: string): string =>
  Object.hasOwn(PROCESS_USAGE, name)
    ? `cc-executor ${name} --help shows its usage.`
    : 'cc-executor help lists the commands.'

const words = process.argv.slice(2)
main(words)
  .catch((error: unknown) => report(error, words))
  // Whatever a library still holds open must not keep a process that has closed everything of its own.
  .finally(() => process.exit())
