import { type Failure, isAboutLogin } from './classify-result.js'
import type { Observation } from './observation.js'

const STDERR_SHOWN = 2_000

/** How the process of a CLI ended. */
export interface Death {
  readonly exit: { readonly exitCode?: number | null | undefined; readonly signal?: string | null | undefined }
  readonly stderrTail: string
  readonly observation: Observation
}

/** The numbers by which shells and wrappers tell of a signal. */
const SIGNALS: Readonly<Record<number, string>> = {
  129: 'SIGHUP',
  130: 'SIGINT',
  131: 'SIGQUIT',
  134: 'SIGABRT',
  137: 'SIGKILL',
  139: 'SIGSEGV',
  143: 'SIGTERM',
}

/**
 * The CLI was gone by a signal or an error, or while it was at work again, after a `result` of success, and not by our
 * doing. A process of the run can write such a line and end the CLI; whoever wrote it, the run did not come to its end.
 */
export function classifyDeath({
  exit: { exitCode, signal: killedBy },
  stderrTail,
  observation,
}: Death): Failure | undefined {
  const signal = killedBy ?? SIGNALS[exitCode ?? 0]
  const after =
    'after it had given a result, which may not be its last one. Its effects so far are kept; check them ' +
    'before you run it again.'
  if (typeof signal === 'string')
    return {
      code: 'CLAUDE_SIGNALLED',
      message: `Claude was terminated from outside by ${signal} ${after}${tellStderr(stderrTail)}`,
    }
  if (exitCode === 0 && observation.turnActive)
    return {
      code: 'CLAUDE_EXITED',
      message: `Claude exited in the middle of a further turn, ${after}${tellStderr(stderrTail)}`,
    }
  if (typeof exitCode !== 'number' || exitCode === 0) return undefined
  return { code: 'CLAUDE_EXITED', message: `Claude exited with code ${exitCode} ${after}${tellStderr(stderrTail)}` }
}

/** It never gave a `result`. */
export function classifySilentExit({ exit, stderrTail, observation }: Death): Failure {
  const errors = tellStderr(stderrTail)
  const signal = exit.signal ?? SIGNALS[exit.exitCode ?? 0]
  if (typeof signal === 'string') {
    const hint = signal === 'SIGKILL' ? ' The host may have run out of memory.' : ''
    return {
      code: 'CLAUDE_SIGNALLED',
      message:
        `Claude was terminated from outside by ${signal} before it gave a result.${hint} Its effects so far ` +
        `are kept; try again.${errors}`,
    }
  }
  if (isAboutLogin(stderrTail)) {
    return {
      code: 'CLAUDE_NOT_AUTHENTICATED',
      message:
        'Claude has no valid credentials. The operator must set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN ' +
        `(\`claude setup-token\`), or log in.${errors}`,
    }
  }
  if (exit.exitCode === 0) {
    const cause =
      observation.turnActive || observation.results > 0
        ? ''
        : ' This happens if its temporary folder cannot be used; the operator should check the data folder.'
    return {
      code: 'CLAUDE_EXITED',
      message: `Claude exited with code 0 but gave no result, so it is unknown whether it did anything.${cause}${errors}`,
    }
  }
  const code = typeof exit.exitCode === 'number' ? ` with code ${exit.exitCode}` : ''
  return {
    code: 'CLAUDE_EXITED',
    message:
      `Claude exited${code} before it gave a ` +
      `result.${errors || ' It wrote nothing on standard error; `cc-executor doctor` checks the installation.'}`,
  }
}

/** The end of standard error without keys: the CLI may print parts of its environment or of its own source there. */
function tellStderr(stderrTail: string): string {
  const text = stderrTail
    .trim()
    .slice(-STDERR_SHOWN)
    .replaceAll(/\bsk-[\w-]{8,}/g, 'sk-…')
  return text === '' ? '' : ` Standard error ended with: ${text.isWellFormed() ? text : text.slice(1)}`
}
