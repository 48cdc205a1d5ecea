import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { ClaudeCommand } from '../../claude/command/claude-command.js'

const STDERR_LIMIT_CHARACTERS = 300

/** A line of the CLI, as far as a self-check looks into it. */
export type Message = Readonly<Record<string, unknown>>

export interface Trial {
  readonly messages: readonly Message[]
  readonly exitCode: number | null
  readonly complaint: string
}

/**
 * Runs a command of ours to its end: standard input stays open until `isOver`, as in a run. Nothing of it is left after
 * the
 * signal, or after its end.
 */
export async function tryClaude(
  command: ClaudeCommand,
  {
    cwd,
    signal,
    isOver,
    extra = [],
  }: { cwd: string; signal: AbortSignal; isOver: (messages: readonly Message[]) => boolean; extra?: readonly string[] },
): Promise<Trial> {
  const child = spawn(command.file, [...command.args, ...extra], {
    cwd,
    env: command.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const closed = once(child, 'close')
  closed.catch(() => undefined)
  const endGroup = (): void => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }
  signal.addEventListener('abort', endGroup, { once: true })
  const messages: Message[] = []
  let complaint = ''
  child.stderr.on(
    'data',
    (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, STDERR_LIMIT_CHARACTERS)),
  )
  // One that ends before it has read makes this fail; its end tells the rest.
  child.stdin.on('error', () => undefined)
  child.stdin.write(command.firstLine)
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const message = toMessage(line)
      if (message) messages.push(message)
      if (isOver(messages)) child.stdin.end()
    }
    await closed
    return { messages, exitCode: child.exitCode, complaint: complaint.trim() }
  } finally {
    signal.removeEventListener('abort', endGroup)
    endGroup()
  }
}

function toMessage(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line)
    // Safe: an object that is not null has string keys.
    return typeof value === 'object' && value !== null ? (value as Message) : undefined
  } catch {
    return undefined
  }
}

export const resultsOf = (messages: readonly Message[]): Message[] => messages.filter(({ type }) => type === 'result')
