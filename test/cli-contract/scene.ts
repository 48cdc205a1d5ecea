// One CLI against a simulator: what a fact is looked at with. Commands are the service's own (claudeCommand), so that a
// fact is about what is really started.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { claudeCommand, type ClaudeSettings } from '../../src/claude/command/claude-command.js'
import { findCredentials } from '../../src/claude/install/credentials.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { ExecuteRequest } from '../../src/protocol/execute-request.js'
import { openSimulator, type SimulatedRequest, type Simulator } from '../../src/simulator/simulator.js'
import { once } from '../support/deadlines.js'

const DEADLINE_MS = 120_000

export type Line = Readonly<Record<string, unknown>>

export interface Folders {
  readonly cwd: string
  readonly home: string
  readonly tmpDir: string
}

export interface Start {
  /** For the model, in the language of the simulator. */
  readonly steps?: readonly object[]
  readonly prompt?: string
  readonly request?: Partial<ExecuteRequest>
  readonly settings?: Partial<ClaudeSettings>
  readonly folders?: Folders
  readonly env?: NodeJS.ProcessEnv
  /** Further words of the command line. */
  readonly args?: readonly string[]
  /** The command line and nothing on standard input. */
  readonly silent?: boolean
}

/** A CLI that runs. */
export interface Running {
  readonly pid: number
  readonly folders: Folders
  readonly sessionId: string
  readonly lines: Line[]
  readonly texts: string[]
  send(value: unknown): void
  closeInput(): void
  kill(signal: NodeJS.Signals): void
  /** Resolves with the first line that fits; rejects when it ends without one. */
  until(fits: (line: Line) => boolean): Promise<Line>
  /** Resolves once it is gone and its output is read. */
  readonly ended: Promise<Ended>
}

export interface Ended {
  readonly lines: readonly Line[]
  readonly texts: readonly string[]
  readonly results: readonly Line[]
  readonly exitCode: number | null
  readonly signal: string | null
  readonly stderr: string
  readonly folders: Folders
  readonly sessionId: string
  /** What it asked of the model, side requests left out. */
  readonly requests: readonly SimulatedRequest[]
}

export interface Scene {
  readonly binary: string
  readonly version: string
  newFolders(): Promise<Folders>
  start(options: Start): Promise<Running>
  /** To its end: standard input is closed at the first `result`. */
  run(options: Start): Promise<Ended>
  /** What several facts are looked up in is made once; each start of the CLI is most of a second. */
  once<Made>(name: string, make: () => Promise<Made>): Promise<Made>
  close(): Promise<void>
}

export const isResult = ({ type }: Line): boolean => type === 'result'
export const isSystem = (line: Line, subtype: string): boolean =>
  line['type'] === 'system' && line['subtype'] === subtype
export const script = (steps: readonly object[]): string => `\`\`\`simulate\n${JSON.stringify(steps)}\n\`\`\``
/** A tool that works for so many seconds, in words that no version refuses as a mere wait. */
export const busy = (seconds: number, more: object = {}): object => ({
  tool: 'Bash',
  input: { command: `env sleep ${seconds}; echo over`, description: 'works', ...more },
})

/** A run that says something and does nothing, with partial messages and known numbers. */
export const plain = ({ once, run }: Scene): Promise<Ended> =>
  once('plain', () =>
    run({
      steps: [{ usage: { inputTokens: 1_000, outputTokens: 200 } }, { text: 'Grüße aus dem Strom.', chunks: 5 }],
    }),
  )

/** A run that writes a file. */
export const working = ({ once, run }: Scene): Promise<Ended> =>
  once('working', () =>
    run({ steps: [{ tool: 'Write', input: { file_path: '${cwd}/note.txt', content: 'x' } }, { text: 'done' }] }),
  )

export async function openScene(binary: string, version: string): Promise<Scene> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'cce-contract-')))
  const groups = new Set<number>()
  // Each CLI has its own, so that its requests are its own.
  const simulators = new Set<Simulator>()
  const made = new Map<string, Promise<unknown>>()
  let count = 0
  const endGroup = (pid: number): void => {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }

  async function newFolders(): Promise<Folders> {
    const place = join(root, String((count += 1)))
    const folders = { cwd: join(place, 'work'), home: join(place, 'home'), tmpDir: join(place, 'tmp') }
    for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true })
    return folders
  }

  async function start({
    steps,
    prompt,
    request = {},
    settings = {},
    folders: given,
    env = {},
    args = [],
    silent = false,
  }: Start): Promise<Running> {
    const folders = given ?? (await newFolders())
    const simulator = await openSimulator()
    simulators.add(simulator)
    const sessionId = settings.sessionId ?? randomUUID()
    const asked = toRunRequest(
      ExecuteRequest.parse({
        ...(request.command === undefined && { prompt: prompt ?? script(steps ?? [{ text: 'Hello.' }]) }),
        ...request,
      }),
    )
    const command = claudeCommand(asked, {
      binary,
      sessionId,
      workspace: folders.cwd,
      home: folders.home,
      tmpDir: folders.tmpDir,
      input: folders.tmpDir,
      credentials: findCredentials({}, { simulated: true }),
      env: { PATH: process.env['PATH'], ...env },
      childEnv: Object.keys(env),
      defaultPermissionMode: 'acceptEdits',
      extraAllowedTools: [],
      trustWorkspaces: false,
      simulatorUrl: simulator.url,
      asRoot: process.getuid?.() === 0,
      knowsPromptSnapshot: false,
      ...settings,
    })
    for (const { name, content } of command.files) await writeFile(join(folders.tmpDir, name), content)
    const child = spawn(command.file, [...command.args, ...args], {
      cwd: folders.cwd,
      env: command.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    const closed = once(child, 'close')
    await once(child, 'spawn')
    const pid = child.pid ?? 0
    groups.add(pid)
    const deadline = setTimeout(() => endGroup(pid), DEADLINE_MS)
    child.stdin.on('error', () => undefined)
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    const lines: Line[] = []
    const texts: string[] = []
    const watchers = new Set<() => void>()
    createInterface({ input: child.stdout }).on('line', (text) => {
      texts.push(text)
      lines.push(JSON.parse(text) as Line)
      for (const watcher of watchers) watcher()
    })
    const send = (value: unknown): void =>
      void child.stdin.write(`${typeof value === 'string' ? value : JSON.stringify(value)}\n`)
    const ended = closed.then(async (): Promise<Ended> => {
      clearTimeout(deadline)
      endGroup(pid)
      groups.delete(pid)
      const requests = simulator.requests.filter(({ side }) => side !== true)
      simulators.delete(simulator)
      await simulator.close()
      for (const watcher of watchers) watcher()
      return {
        lines,
        texts,
        results: lines.filter(isResult),
        exitCode: child.exitCode,
        signal: child.signalCode,
        stderr,
        folders,
        sessionId,
        requests,
      }
    })
    if (!silent) child.stdin.write((command.setUpLine ?? '') + command.firstLine)
    return {
      pid,
      folders,
      sessionId,
      lines,
      texts,
      send,
      ended,
      closeInput: () => void child.stdin.end(),
      kill: (signal) => void child.kill(signal),
      until: (fits) =>
        new Promise((resolve, reject) => {
          const look = (): void => {
            const found = lines.find(fits)
            if (!found && child.exitCode === null && child.signalCode === null) return
            watchers.delete(look)
            if (found) resolve(found)
            else reject(new Error(`it ended without that line: ${texts.at(-1)?.slice(0, 300)} ${stderr.slice(0, 300)}`))
          }
          watchers.add(look)
          void ended.then(look)
          look()
        }),
    }
  }

  return {
    binary,
    version,
    newFolders,
    start,
    once<Made>(name: string, make: () => Promise<Made>) {
      const promise = made.get(name) ?? make()
      made.set(name, promise)
      // Safe: each name stands for one function.
      return promise as Promise<Made>
    },
    async run(options) {
      const running = await start(options)
      if (options.silent) running.closeInput()
      else await running.until(isResult).then(running.closeInput, () => undefined)
      return running.ended
    },
    async close() {
      for (const pid of groups) endGroup(pid)
      await Promise.all([...simulators].map((simulator) => simulator.close()))
      await rm(root, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
