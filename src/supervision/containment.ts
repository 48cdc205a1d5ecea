import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

import { joinSignals } from '../platform/abort-signals.js'
import { findContainmentPrograms } from './containment-command.js'
import type { Containment, ContainmentLevel } from './containment-command.js'
import { EVIL_CHILD, EVIL_COUNT } from './evil-child.js'
import { splitPath } from './find-program.js'
import { findSandbox } from './find-sandbox.js'
import { hasProc } from './process-tree.js'
import { startSupervised } from './supervised-process.js'
import type { SupervisedProcess } from './supervised-process.js'

export type { Containment } from './containment-command.js'

export interface ChooseContainmentOptions {
  readonly policy: 'auto' | 'required'
  readonly extraPath?: readonly string[]
  readonly signal?: AbortSignal
}

/** Ends only what hangs: a worker that starts on a busy machine would have a weaker level until its next start. */
const SELF_TEST_DEADLINE_MS = 15_000

const REMEDY =
  'install bubblewrap (apt-get install bubblewrap) and allow user namespaces (on Ubuntu ' +
  '`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; in Docker a seccomp profile that permits them)'

const DETAILS: Record<Exclude<ContainmentLevel, 'weak'>, string> = {
  bubblewrap: 'Each run lives in a PID namespace made by bubblewrap; the kernel stops all of its processes with it.',
  unshare:
    'Each run lives in a PID namespace made by unshare; the kernel ends all of it, but paths cannot be hidden from it.',
}

/** Reads command lines, which no level of ours touches: so the test does not believe what it tests. */
export function countTagged(tag: string): number {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0').includes(tag)
    } catch {
      return false
    }
  }).length
}

async function waitUntilAllUp(evil: SupervisedProcess, tag: string, signal: AbortSignal): Promise<void> {
  const lines = createInterface({ input: evil.stdout, signal })
  evil.release()
  let up = 0
  for await (const line of lines) {
    if (line === `up ${tag}` && ++up === EVIL_COUNT) return
  }
  throw new Error(
    signal.aborted ? `the self-test took longer than ${SELF_TEST_DEADLINE_MS} ms` : 'the self-test ended early',
  )
}

/** Returns why a level cannot be used, or undefined when nothing of the evil child was left. */
async function testContainment(
  containment: Containment,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const tag = `cc-executor-self-test-${randomUUID()}`
  const deadline = joinSignals([signal], SELF_TEST_DEADLINE_MS)
  try {
    const evil = await startSupervised({
      containment,
      file: 'bash',
      args: ['--norc', '-c', EVIL_CHILD, tag, tag],
      cwd: '/',
      env: { PATH: path },
      marker: tag,
      readyTimeoutMs: SELF_TEST_DEADLINE_MS,
      heartbeatTimeoutMs: 2 * SELF_TEST_DEADLINE_MS,
    })
    evil.stderr.resume()
    try {
      await waitUntilAllUp(evil, tag, deadline.signal)
    } finally {
      await evil.killAll()
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    deadline.release()
  }
  const survivors = countTagged(tag)
  return survivors === 0 ? undefined : `${survivors} processes survived the self-test`
}

const REACHES_WORKSPACE =
  "A run sees its workspace, its HOME, a temporary folder and the system's programs, read-only, and nothing else of the files"
const REACHES_ALL = 'a run reaches every file that its user reaches'
const USERS = {
  workers: 'as the user of the worker, without any privilege',
  mapped: 'as a separate user',
  renamed: 'as a user that is root outside, without its privileges',
} as const

/** What is promised is tried: what one run reaches of the files. */
async function withSandbox(containment: Containment, path: string, signal: AbortSignal): Promise<Containment> {
  if (containment.level !== 'bubblewrap')
    return {
      ...containment,
      detail: `${containment.detail} ${REACHES_ALL[0]?.toUpperCase()}${REACHES_ALL.slice(1)}; ${REMEDY}.`,
    }
  const { means, why } = await findSandbox(containment, path, signal)
  if (means === undefined) return { ...containment, detail: `${containment.detail} But ${REACHES_ALL} (${why}).` }
  return { ...containment, sandbox: means, detail: `${containment.detail} ${REACHES_WORKSPACE}, ${USERS[means.user]}.` }
}

/**
 * The strongest level which passes its self-test: bubblewrap, unshare, then weak. Throws under policy `required` when
 * only weak is left, and when the signal is aborted.
 */
export async function chooseContainment(options: ChooseContainmentOptions): Promise<Containment> {
  const signal = options.signal ?? new AbortController().signal
  const directories = [...splitPath(process.env['PATH']), ...(options.extraPath ?? [])]
  const path = directories.join(':')
  const programs = await findContainmentPrograms(directories)
  const reasons: string[] = []
  for (const level of ['bubblewrap', 'unshare'] as const) {
    const containment: Containment = { level, strong: true, detail: DETAILS[level], programs }
    signal.throwIfAborted()
    const reason = await testContainment(containment, path, signal)
    if (reason === undefined) return withSandbox(containment, path, signal)
    reasons.push(`${level}: ${reason}`)
  }
  signal.throwIfAborted()
  const why = reasons.join('; ')
  if (options.policy === 'required') {
    throw new Error(
      `Runs cannot be contained on this machine: ${REMEDY}, or accept less with CC_EXECUTOR_CONTAINMENT=auto. (${why})`,
    )
  }
  const weak: Containment = { level: 'weak', strong: false, detail: '', programs }
  const leak = hasProc() ? await testContainment(weak, path, signal) : 'there is no /proc here'
  const promise =
    leak === undefined
      ? 'processes are found through their parents and their environment'
      : `a process can escape deliberately (${leak})${programs.tini === undefined ? '; tini would help' : ''}`
  return { ...weak, detail: `Runs are only weakly contained, ${promise}; ${REMEDY}. (${why})` }
}
