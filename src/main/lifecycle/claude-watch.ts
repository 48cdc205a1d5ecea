/**
 * The CLI of a worker: looked for at its start, again with growing waits until it can be used, and again when its file
 * is another one.
 *
 *   looking → usable: runs are started with it, until another file is in its place → looking
 *   looking → usable, but unseen: it starts here and in no sandbox, so runs in one end with CLAUDE_NOT_FOUND → looking
 *   looking → missing: executions end with CLAUDE_NOT_FOUND → looking
 *   looking → unanswering | too_old: nothing is taken from the queue → looking
 *
 * Too old at the very start is a refusal: the worker does not open.
 */
import { isMeasured, type InstalledClaude } from '../../claude/behaviour.js'
import { describeVersion, isTestedVersion } from '../../claude/supported-versions.js'
import { ConfigError, type Config } from '../../platform/config.js'
import { sleep } from '../../platform/abort-signals.js'
import type { Logger } from '../../platform/logger.js'
import type { WorkerState } from '../../protocol/service-state.js'
import { inspectClaude, type ClaudeInspection } from './inspect-claude.js'
import { identify, openBehaviourStore } from '../self-check/behaviour-store.js'
import { SHOW_FILES } from '../self-check/try-in-sandbox.js'
import { measureBehaviour } from '../self-check/measure-behaviour.js'

const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 60_000
/** An update replaces the file under a running worker, and what the new one knows may be something else. */
const LOOK_MS = 5_000

export interface ClaudeWatch {
  /** What runs are started with; undefined while there is none that can be used. */
  current(): InstalledClaude | undefined
  state(): WorkerState['claude']
  /** Why nothing is to be taken from the queue. */
  pausedBecause(): string | undefined
  close(): Promise<void>
}

interface WatchOptions {
  readonly config: Config
  readonly logger: Logger
  /** Something of the above has changed. */
  readonly onChange: () => void
  /** Why a CLI that starts here starts in no run; undefined where it does. */
  readonly tryInside: (binary: string, signal: AbortSignal) => Promise<string | undefined>
  /** Gives up opening it. */
  readonly signal?: AbortSignal | undefined
}

/** @throws ConfigError where it is too old; the signal's reason */
export async function openClaudeWatch(options: WatchOptions): Promise<ClaudeWatch> {
  const { config, logger, onChange, tryInside, signal } = options
  const stop = new AbortController()
  /** Also whether runs see it: before the first of them, and each time anew, since files may come and go. */
  async function inspect(): Promise<ClaudeInspection> {
    const found = await inspectClaude(config, stop.signal)
    if (found.kind !== 'usable') return found
    const unseen = await tryInside(found.claude.binary, stop.signal)
    stop.signal.throwIfAborted()
    if (unseen === undefined) return found
    logger.warn(unseen)
    return { kind: 'usable', claude: { ...found.claude, unseen } }
  }

  const giveUp = (): void => stop.abort(signal?.reason)
  signal?.addEventListener('abort', giveUp, { once: true })
  if (signal?.aborted) giveUp()
  let seen = await inspect().finally(() => signal?.removeEventListener('abort', giveUp))
  if (seen.kind === 'too_old') throw new ConfigError(seen.message)

  async function lookAgain(): Promise<void> {
    seen = await inspect()
    onChange()
  }

  async function untilUsable(): Promise<InstalledClaude | undefined> {
    for (let waitMs = FIRST_WAIT_MS; !stop.signal.aborted; waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)) {
      if (seen.kind === 'usable') return seen.claude
      logger.warn({ againAfterMs: waitMs }, seen.message)
      await sleep(waitMs, stop.signal)
      if (!stop.signal.aborted) await lookAgain()
    }
    return undefined
  }

  async function watch(): Promise<void> {
    let unseenWaitMs = LOOK_MS
    for (let claude = await untilUsable(); claude; claude = await untilUsable()) {
      const file = await identify(claude.binary)
      const behaviour = await findBehaviour(claude, { config, logger, signal: stop.signal })
      if (behaviour && !stop.signal.aborted) {
        seen = { kind: 'usable', claude: { ...claude, behaviour } }
        onChange()
      }
      if (claude.unseen !== undefined) {
        // What it leads to is another file, which may come into view while this one stays.
        await sleep(unseenWaitMs, stop.signal)
        unseenWaitMs = Math.min(LONGEST_WAIT_MS, unseenWaitMs * 2)
      } else {
        unseenWaitMs = LOOK_MS
        while (!stop.signal.aborted && (await identify(claude.binary)) === file) await sleep(LOOK_MS, stop.signal)
      }
      if (!stop.signal.aborted) await lookAgain()
    }
  }
  const watching = watch().catch((error: unknown) => {
    if (!stop.signal.aborted) logger.warn({ err: error }, 'the Claude CLI is no longer checked')
  })
  return {
    current: () => (seen.kind === 'usable' ? seen.claude : undefined),
    state: () => toState(seen, config),
    pausedBecause: () => (seen.kind === 'unanswering' || seen.kind === 'too_old' ? seen.message : undefined),
    async close() {
      stop.abort()
      await watching
    },
  }
}

/**
 * What is better known than by the version alone: from an earlier self-check, or from one now. Work is taken meanwhile.
 */
async function findBehaviour(
  { binary, version }: InstalledClaude,
  { config, logger, signal }: { config: Config; logger: Logger; signal: AbortSignal },
): Promise<InstalledClaude['behaviour'] | undefined> {
  const file = await identify(binary)
  if (file === undefined) return undefined
  const store = openBehaviourStore(config.dataDir, `${version}:${file}`)
  const known = await store.read()
  if (known) return known.behaviour
  // Of the versions that are tested it is known already, by the tests.
  if (isMeasured(version)) return undefined
  try {
    const check = await measureBehaviour(binary, { environment: config.environment, folder: config.dataDir, signal })
    await store.write(check)
    logger[check.problems.length === 0 ? 'info' : 'warn'](
      { version, ...check },
      'the self-check of this Claude CLI is done',
    )
    return check.behaviour
  } catch (error) {
    if (!signal.aborted)
      logger.warn(
        { version, err: error },
        'the self-check of this Claude CLI failed; it is treated like the newest known version',
      )
    return undefined
  }
}

function toState(seen: ClaudeInspection, { environment, sandbox }: Config): WorkerState['claude'] {
  if (seen.kind !== 'usable')
    return {
      found: false,
      tested: false,
      message: seen.message,
      version: seen.kind === 'too_old' ? seen.version : undefined,
    }
  const { version, behaviour, unseen } = seen.claude
  const defaultModel = environment['ANTHROPIC_MODEL'] || behaviour.defaultModel
  return {
    // Where runs are on the host unless they ask for more, most of them see it.
    found: unseen === undefined || sandbox.least === 'host',
    tested: isTestedVersion(version),
    version,
    defaultModel,
    message: unseen === undefined ? describeVersion(version, defaultModel) : `${unseen}. Remedy: ${SHOW_FILES}.`,
  }
}
