/**
 * How a CLI of whatever version behaves, found out by trying: a greeting with a background task, then the same session
 * resumed with
 * another appended prompt. Against a simulator of its own, in a home that is thrown away: no account, no credentials,
 * no network.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClaudeBehaviour } from '../../claude/behaviour.js'
import { claudeCommand, type ClaudeCommand } from '../../claude/command/claude-command.js'
import { findCredentials } from '../../claude/install/credentials.js'
import { toRunRequest } from '../../claude/command/run-request.js'
import { joinSignals } from '../../platform/abort-signals.js'
import { folderWithSocketRoom } from '../../platform/temporary-place.js'
import { ExecuteRequest } from '../../protocol/execute-request.js'
import { openSimulator, type Simulator } from '../../simulator/simulator.js'
import { resultsOf, tryClaude, type Message, type Trial } from './try-claude.js'

const DEADLINE_MS = 90_000
const SNAPSHOT_OFF = '--system-prompt-snapshot=off'
const FIRST_WORDS = 'self-check: the first words'
const OTHER_WORDS = 'self-check: the other words'
/** So much more than the second run costs that the two kinds of sum cannot be confused. */
const MANY_TOKENS = 100_000

export interface SelfCheck {
  readonly behaviour: ClaudeBehaviour
  /** What this service relies on, and this CLI does not do. */
  readonly problems: readonly string[]
}

interface Scene {
  readonly simulator: Simulator
  readonly signal: AbortSignal
  readonly cwd: string
  readonly toCommand: (steps: readonly object[], appendSystemPrompt: string, resume?: string) => Promise<ClaudeCommand>
}

/** `folder` gets a throw-away one. @throws where the CLI cannot even greet */
export async function measureBehaviour(
  binary: string,
  { environment, folder, signal }: { environment: NodeJS.ProcessEnv; folder: string; signal: AbortSignal },
): Promise<SelfCheck> {
  const place = await realpath(
    await mkdtemp(join(folderWithSocketRoom(folder, 'self-check-XXXXXX/tmp'), 'self-check-')),
  )
  const [home, tmpDir, cwd] = [join(place, 'home'), join(place, 'tmp'), join(place, 'work')]
  const joined = joinSignals([signal], DEADLINE_MS)
  try {
    const simulator = await openSimulator()
    try {
      for (const path of [home, tmpDir, cwd]) await mkdir(path, { mode: 0o700 })
      const sessionId = randomUUID()
      const toCommand: Scene['toCommand'] = async (steps, appendSystemPrompt, resume) => {
        const command = claudeCommand(
          toRunRequest(
            ExecuteRequest.parse({
              prompt: `\`\`\`simulate\n${JSON.stringify(steps)}\n\`\`\``,
              appendSystemPrompt,
              allowedTools: ['Bash'],
            }),
          ),
          {
            binary,
            sessionId,
            workspace: cwd,
            home,
            tmpDir,
            input: tmpDir,
            resume,
            credentials: findCredentials({}, { simulated: true }),
            // Of the operator's only what a program needs in order to start.
            env: { PATH: environment['PATH'], LANG: environment['LANG'] },
            childEnv: [],
            defaultPermissionMode: 'acceptEdits',
            extraAllowedTools: [],
            trustWorkspaces: false,
            simulatorUrl: simulator.url,
            asRoot: false,
            knowsPromptSnapshot: false,
          },
        )
        for (const { name, content } of command.files) await writeFile(join(tmpDir, name), content, { mode: 0o600 })
        return command
      }
      return await check({ simulator, signal: joined.signal, cwd, toCommand }, sessionId)
    } finally {
      await simulator.close()
    }
  } finally {
    joined.release()
    await rm(place, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function check(scene: Scene, sessionId: string): Promise<SelfCheck> {
  const { signal, cwd, toCommand } = scene
  const background = {
    tool: 'Bash',
    input: { command: 'sleep 1 && echo over', description: 'waits', run_in_background: true },
  }
  const greeting = await toCommand(
    [
      { usage: { inputTokens: MANY_TOKENS, outputTokens: 1 } },
      background,
      { text: 'Hello.' },
      { turn: true },
      { text: 'Over.' },
    ],
    FIRST_WORDS,
  )
  const first = await tryClaude(greeting, {
    cwd,
    signal,
    isOver: (messages) => resultsOf(messages).length > 0 && liveTasks(messages) === 0,
  })
  // What was ended from our side says nothing of the CLI, and would be kept as what it does.
  signal.throwIfAborted()
  const [hello] = resultsOf(first.messages)
  if (hello?.['is_error'] !== false) throw new Error(`it did not answer a greeting (${describe(first)})`)

  const resume = await toCommand(
    [{ usage: { inputTokens: 1, outputTokens: 1 } }, { text: 'Resumed.' }],
    OTHER_WORDS,
    sessionId,
  )
  const isOver = (messages: readonly Message[]): boolean => resultsOf(messages).length > 0
  let second = await tryClaude(resume, {
    cwd,
    signal,
    isOver,
    extra: resume.args.includes(SNAPSHOT_OFF) ? [] : [SNAPSHOT_OFF],
  })
  signal.throwIfAborted()
  const knowsPromptSnapshot = !(second.exitCode !== 0 && /unknown option/.test(second.complaint))
  if (!knowsPromptSnapshot)
    second = await tryClaude(
      { ...resume, args: resume.args.filter((arg) => arg !== SNAPSHOT_OFF) },
      { cwd, signal, isOver },
    )
  signal.throwIfAborted()
  const [resumed] = resultsOf(second.messages)

  const model = first.messages.find(({ subtype }) => subtype === 'init')?.['model']
  const costs = [resultsOf(first.messages).at(-1), resumed].map((result) => Number(result?.['total_cost_usd']))
  const problems = [
    ...(ended(first.messages, 'task_started') > 0 ? [] : ['it does not report background tasks']),
    ...(resultsOf(first.messages).length > 1 ? [] : ['it gives no second answer after a background task']),
    ...(resumed?.['is_error'] === false ? [] : [`it does not resume a session (${describe(second)})`]),
    ...(scene.simulator.requests.at(-1)?.system?.some((text) => text.includes(OTHER_WORDS))
      ? []
      : ['a prompt that is appended to a resumed session does not reach the model']),
  ]
  return {
    behaviour: {
      knowsPromptSnapshot,
      costAfterResume: (costs[1] ?? 0) < (costs[0] ?? 0) / 2 ? 'own' : 'conversation',
      tellsBackgroundTasks: ended(first.messages, 'background_tasks_changed') > 0,
      defaultModel: typeof model === 'string' ? model : undefined,
    },
    problems,
  }
}

const ended = (messages: readonly Message[], ...subtypes: string[]): number =>
  messages.filter(({ subtype }) => subtypes.includes(String(subtype))).length

/** Held open until each has told its end and the answer to that has come: a result for each, and the first one. */
function liveTasks(messages: readonly Message[]): number {
  const started = ended(messages, 'task_started')
  return Math.max(started - ended(messages, 'task_notification'), started + 1 - resultsOf(messages).length)
}

function describe({ messages, exitCode, complaint }: Trial): string {
  const said = resultsOf(messages).at(-1)?.['result']
  return [`exit code ${exitCode}`, complaint.split('\n')[0], typeof said === 'string' ? said.slice(0, 200) : '']
    .filter((part) => part !== '')
    .join('; ')
}
