// The real CLI, run as claudeCommand says, against a simulator. Which one: CC_EXECUTOR_CLAUDE_BIN, else what is found.
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, realpath, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { behaviourOf } from '../../src/claude/behaviour.js'
import { classifyExit } from '../../src/claude/stream/classify-exit.js'
import { claudeCommand, type ClaudeSettings } from '../../src/claude/command/claude-command.js'
import { findCredentials } from '../../src/claude/install/credentials.js'
import { findClaude, probeClaude } from '../../src/claude/install/find-claude.js'
import { createLineSplitter } from '../../src/claude/stream/line-splitter.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { createTranslator } from '../../src/claude/stream/translate-message.js'
import type { NewEvent } from '../../src/protocol/events.js'
import { ExecuteRequest } from '../../src/protocol/execute-request.js'
import type { Simulator } from '../../src/simulator/simulator.js'
import { once } from './deadlines.js'

const cacheBin = join(process.env['CC_EXECUTOR_CACHE_DIR'] ?? join(homedir(), '.cache/cc-executor'), 'bin/claude')
export const binary = await findClaude({
  explicit: process.env['CC_EXECUTOR_CLAUDE_BIN'],
  path: process.env['PATH'] ?? '',
  cacheBin,
})
const probed = binary === undefined ? undefined : await probeClaude(binary, process.env)
export const behaviour = behaviourOf(probed && 'version' in probed ? probed.version : undefined)
export const skip = binary === undefined ? 'there is no claude CLI here (CC_EXECUTOR_CLAUDE_BIN)' : false

export interface CliPlace {
  readonly root: string
  readonly cwd: string
  readonly home: string
  readonly tmpDir: string
}

export async function makeCliPlace(t: Test): Promise<CliPlace> {
  const root = await realpath(t.testdir({}))
  const place = { root, cwd: join(root, 'ws'), home: join(root, 'home'), tmpDir: join(root, 'tmp') }
  for (const folder of Object.values(place)) await mkdir(folder, { recursive: true })
  return place
}

export interface CliOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly place?: CliPlace
  readonly settings?: Partial<ClaudeSettings>
}

export async function runCli(
  t: Test,
  simulator: Simulator,
  request: ExecuteRequest,
  { env = {}, place, settings = {} }: CliOptions = {},
) {
  const { root, cwd, home, tmpDir } = place ?? (await makeCliPlace(t))
  const asked = toRunRequest(ExecuteRequest.parse(request))
  const command = claudeCommand(asked, {
    binary: binary ?? '',
    sessionId: randomUUID(),
    workspace: cwd,
    home,
    tmpDir,
    input: tmpDir,
    credentials: findCredentials({}, { simulated: true }),
    env: { ...process.env, ...env },
    childEnv: [],
    defaultPermissionMode: 'default',
    extraAllowedTools: [],
    trustWorkspaces: false,
    simulatorUrl: simulator.url,
    asRoot: process.getuid?.() === 0,
    knowsPromptSnapshot: behaviour.knowsPromptSnapshot,
    ...settings,
  })
  for (const { name, content } of command.files) await writeFile(join(tmpDir, name), content)
  const child = execFile(command.file, command.args, {
    cwd,
    env: command.env,
    encoding: 'buffer',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  child.stdin?.end((command.setUpLine ?? '') + command.firstLine)
  const splitter = createLineSplitter({ maxLineBytes: 1 << 24 })
  const translator = createTranslator(asked)
  const events: NewEvent[] = []
  let stderrTail = ''
  child.stderr?.on('data', (chunk: Buffer) => (stderrTail += chunk.toString()))
  child.stdout?.on('data', (chunk: Buffer) => {
    for (const line of splitter.push(chunk)) events.push(...translator.translate(line))
  })
  await once(child, 'close')
  const outcome = classifyExit({
    observation: translator.observation,
    exit: { exitCode: child.exitCode, signal: child.signalCode },
    stderrTail,
    run: asked,
  })
  return {
    outcome,
    observation: translator.observation,
    events,
    root,
    cwd,
    stderrTail,
    place: { root, cwd, home, tmpDir },
  }
}

export const script = (steps: readonly object[]): string => `\`\`\`simulate\n${JSON.stringify(steps)}\n\`\`\``
