// Runs that leave tasks in the background, on every CLI that is looked at.
import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { isWhole } from '../support/cluster.js'
import { type TestService } from '../support/service.js'

export const ALL = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined

/** The CLI that this checkout uses; in the run of all tests every version that is in the cache. */
export function findClis(): Record<string, NodeJS.ProcessEnv> {
  const packages = join(process.env['CC_EXECUTOR_CACHE_DIR'] ?? join(homedir(), '.cache/cc-executor'), 'packages')
  const versions = ALL && existsSync(packages) ? readdirSync(packages).filter((name) => name.startsWith('claude-')) : []
  const found = versions
    .map((name) => [name, join(packages, name, 'claude')] as const)
    .filter(([, binary]) => existsSync(binary))
  if (found.length === 0) return { claude: {} }
  return Object.fromEntries(found.map(([name, binary]) => [name, { CC_EXECUTOR_CLAUDE_BIN: binary }]))
}

export type Steps = readonly unknown[]
/** A bare `sleep` in a Bash tool is refused by newer CLIs. */
export const waiting = (seconds: number, then = 'true'): string =>
  `perl -e 'select(undef,undef,undef,${seconds})' && ${then}`
export const bash = (command: string, more: object = {}): unknown => ({
  tool: 'Bash',
  input: { command, description: `waits: ${command.slice(-20)}`, ...more },
})
export const behind = (seconds: number, then?: string): unknown =>
  bash(waiting(seconds, then), { run_in_background: true })
/** Until the test writes the file: what is waited for has been told by then, on any machine. */
export const awaiting = (file: string, then = 'true'): string =>
  `until [ -e ${file} ]; do ${waiting(0.1)}; done; ${then}`
/** In the background. */
export const once = (file: string, then?: string): unknown => bash(awaiting(file, then), { run_in_background: true })
export const agent = (...steps: Steps): unknown => ({
  tool: 'Agent',
  input: {
    description: 'an agent of its own',
    subagent_type: 'general-purpose',
    prompt: scripted(...steps),
    run_in_background: true,
  },
})
export const TURN = { turn: true }
export const FOR_EVER = 3_600

export interface Played {
  readonly execution: Execution
  readonly events: readonly Event[]
  of<Type extends EventType>(type: Type): Array<Event<Type>>
}

export async function play(service: TestService, { id }: Execution): Promise<Played> {
  const execution = await service.finished(id)
  const events = await service.events(id)
  // Safe: filtered by the type.
  return {
    execution,
    events,
    of: <Type extends EventType>(type: Type) => events.filter((event) => event.type === type) as Array<Event<Type>>,
  }
}

export const checkOf = ({ outcome }: Execution, name: string): string | undefined =>
  outcome?.verification?.checks.find((check) => check.name === name)?.status
export const resultsOf = ({ of }: Played): number =>
  of('claude.message').filter(({ data }) => data.message['type'] === 'result').length

/** Every tool call that began has ended, and the log is whole. */
export function isComplete(t: Test, { events, of }: Played): void {
  isWhole(t, events)
  t.same(
    of('tool.finished')
      .map(({ data }) => data.toolUseId)
      .sort(),
    of('tool.started')
      .map(({ data }) => data.toolUseId)
      .sort(),
    'every call has its end',
  )
}
