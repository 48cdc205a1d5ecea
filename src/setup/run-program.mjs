import { spawn } from 'node:child_process'
import { constants, setPriority } from 'node:os'

/** At this size the older half of a program's output is dropped: what explains a failure stands at the end. */
const OUTPUT_LIMIT = 4 * 1024 * 1024
const GRACE_MS = 5000

/** Leaders of the process groups that run now, so that a signal to us reaches them. @type {Set<number>} */
const liveGroups = new Set()

/**
 * @typedef {object} ProgramResult
 * @property {number | null} code null when a signal ended it or it did not start
 * @property {boolean} expired its deadline passed and its process group was ended
 * @property {string} stdout
 * @property {string} stderr
 * @property {string} output stdout and stderr as they came
 */

/**
 * Runs a program in a process group of its own, without stdin. Never rejects: a program that cannot be started has code
 * null and the reason as its output.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} options
 * @param {number} options.deadlineMs
 * @param {string} [options.cwd]
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {boolean} [options.isBackground] it takes the time that others leave
 * @param {(chunk: string) => void} [options.onStdout]
 * @param {AbortSignal} [options.signal] ends it before its deadline
 * @returns {Promise<ProgramResult>}
 */
export function runProgram(command, args, { deadlineMs, cwd, env, isBackground, onStdout, signal }) {
  endGroupsWithUs()
  return new Promise((settle) => {
    const result = { code: /** @type {number | null} */ (null), expired: false, stdout: '', stderr: '', output: '' }
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const { pid } = child
    if (pid !== undefined) liveGroups.add(pid)
    if (pid !== undefined && isBackground) lowerPriority(pid)
    const end = () => {
      signalGroup(pid, 'SIGTERM')
      timers.push(setTimeout(() => signalGroup(pid, 'SIGKILL'), GRACE_MS))
    }
    const timers = [
      setTimeout(() => {
        result.expired = true
        end()
      }, deadlineMs),
    ]
    signal?.addEventListener('abort', end, { once: true })
    const finish = () => {
      timers.forEach(clearTimeout)
      signal?.removeEventListener('abort', end)
      if (pid !== undefined) liveGroups.delete(pid)
      settle(result)
    }
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      onStdout?.(chunk)
      result.stdout = bounded(result.stdout + chunk)
      result.output = bounded(result.output + chunk)
    })
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      result.stderr = bounded(result.stderr + chunk)
      result.output = bounded(result.output + chunk)
    })
    child.on('error', (error) => {
      result.output = error.message
      finish()
    })
    child.on('exit', (code) => {
      result.code = code
      // What the program left behind in its group ends with it; a pipe that something outside the group still holds is
      // let go.
      signalGroup(pid, 'SIGKILL')
      timers.push(
        setTimeout(() => {
          child.stdout.destroy()
          child.stderr.destroy()
        }, 2000),
      )
    })
    child.on('close', finish)
  })
}

/** @param {string} text */
function bounded(text) {
  return text.length > OUTPUT_LIMIT ? text.slice(-OUTPUT_LIMIT / 2) : text
}

/**
 * @param {number | undefined} pid
 * @param {NodeJS.Signals} signal
 */
function signalGroup(pid, signal) {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // The group has ended already.
  }
}

let listening = false

// Groups of their own do not hear the terminal's Ctrl-C: we pass it on, and go when they are gone.
function endGroupsWithUs() {
  if (listening) return
  listening = true
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, () => {
      for (const pid of liveGroups) signalGroup(pid, 'SIGTERM')
      setInterval(() => liveGroups.size === 0 && leave(signal), 50)
      setTimeout(leave, GRACE_MS, signal)
    })
  }
}

/** @param {'SIGINT' | 'SIGTERM' | 'SIGHUP'} signal */
function leave(signal) {
  for (const pid of liveGroups) signalGroup(pid, 'SIGKILL')
  process.exit(128 + constants.signals[signal])
}

/** @param {number} pid */
function lowerPriority(pid) {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // It has ended, or the system does not allow it: then it runs like any other.
  }
}
