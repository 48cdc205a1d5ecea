import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../src/platform/config.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { toSandboxedCommand } from '../../src/supervision/sandbox-command.js'
import { viewOf } from '../../src/supervision/sandbox-view.js'
import type { Sandbox, SandboxMeans } from '../../src/supervision/sandbox.js'
import { median } from './measure.js'

/** So many of each, one after the other in turn. */
const STARTS = 40

/** What a level may cost at a start, beyond a plain spawn, on a machine that does nothing else. */
export const START_LIMITS_MS = { workspace: 10, locked: 13 } as const

type Level = 'plain' | 'host' | Sandbox['level']
export type StartCosts = Record<Level, number>

async function timeSpawn(
  file: string,
  args: readonly string[],
  inputs: ReadonlyArray<string | Buffer | number> = [],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const startedAt = performance.now()
  const child = spawn(file, args, {
    stdio: [
      'ignore',
      'ignore',
      'inherit',
      'ignore',
      'ignore',
      'ignore',
      ...inputs.map((input) => (typeof input === 'number' ? input : ('pipe' as const))),
    ],
    env: { PATH: '/usr/bin:/bin', ...env },
  })
  for (const [index, input] of inputs.entries()) {
    const pipe = child.stdio.at(6 + index)
    if (typeof input !== 'number' && pipe && 'end' in pipe) pipe.on('error', () => undefined).end(input)
  }
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${file} ended with ${String(code)}`)
  return performance.now() - startedAt
}

/** `true`, by itself and in each level, as the worker starts a run in it. */
export async function benchStarts(): Promise<StartCosts> {
  const { programs, sandbox: means } = await chooseContainment({
    policy: 'auto',
    extraPath: [readConfig(process.env).cacheBin],
  })
  if (programs?.bwrap === undefined || means === undefined)
    throw new Error('This machine has no sandbox; cc-executor doctor says why.')
  const bwrap = programs.bwrap
  const folder = await mkdtemp(join(tmpdir(), 'cce-starts-'))
  try {
    const [workspace, home, temporary, proxyFolder] = ['workspace', 'home', 'tmp', 'proxy'].map((name) =>
      join(folder, name),
    ) as [string, string, string, string]
    for (const path of [workspace, home, temporary, proxyFolder]) await mkdir(path)
    const startAt = async (level: Sandbox['level'], by: SandboxMeans): Promise<number> => {
      const limits = { processes: 512, memory: 4 * 1024 ** 3, files: 4096, fileSize: 10 * 1024 ** 3 }
      const sandbox: Sandbox = {
        level,
        home,
        writable: [home, temporary],
        readable: [],
        sockets: [],
        hidden: [],
        protected: [],
        limits,
        ...(level === 'locked' && { proxyFolder }),
      }
      const handle = await open(workspace)
      try {
        const { file, args, inputs, variables } = toSandboxedCommand({
          means: by,
          sandbox,
          view: viewOf(workspace, sandbox),
          workspace,
          workspaceFd: handle.fd,
          env: programs.env,
          command: ['/bin/true'],
        })
        return await timeSpawn(file, args, inputs, variables)
      } finally {
        await handle.close()
      }
    }
    const times: Record<Level, number[]> = { plain: [], host: [], workspace: [], locked: [] }
    for (let start = 0; start < STARTS; start += 1) {
      times.plain.push(await timeSpawn('/bin/true', []))
      times.host.push(
        await timeSpawn(bwrap, [
          '--dev-bind',
          '/',
          '/',
          '--proc',
          '/proc',
          '--unshare-pid',
          '--die-with-parent',
          '--',
          '/bin/true',
        ]),
      )
      times.workspace.push(await startAt('workspace', means))
      if (means.levels.includes('locked')) times.locked.push(await startAt('locked', means))
    }
    return {
      plain: median(times.plain),
      host: median(times.host),
      workspace: median(times.workspace),
      locked: median(times.locked),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export function printStarts({ plain, ...levels }: StartCosts): string {
  const row = (name: string, value: number, limit?: number): string =>
    `${name.padEnd(58)}${value.toFixed(2).padStart(12)} ms${limit === undefined ? '' : ` (at most ${limit} on a quiet machine)`}\n`
  return [
    row('a start of `true`', plain),
    row('the same at the level host', levels.host - plain),
    row('workspace, beyond a plain start', levels.workspace - plain, START_LIMITS_MS.workspace),
    row('locked, beyond a plain start', levels.locked - plain, START_LIMITS_MS.locked),
  ].join('')
}
