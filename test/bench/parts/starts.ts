import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../../src/platform/config.js'
import { chooseContainment } from '../../../src/supervision/containment.js'
import { toSandboxedCommand } from '../../../src/supervision/sandbox-command.js'
import { viewOf } from '../../../src/supervision/sandbox-view.js'
import type { Sandbox, SandboxMeans } from '../../../src/supervision/sandbox.js'
import type { Bench } from '../bench-context.js'
import type { Row } from '../rows.js'

/** So many of each, one after the other in turn. */
const STARTS = 40

/** What a level may cost at a start, beyond a plain spawn, on a machine that does nothing else. */
const LIMITS_MS = { host: undefined, workspace: 10, locked: 13 } as const

type Level = 'plain' | 'host' | Sandbox['level']

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
async function timeStarts(): Promise<Record<Level, number[]>> {
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
    return times
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Each level beyond a plain start: the goal is a difference, in ms. */
export async function benchStarts(bench: Bench): Promise<Row[]> {
  const { plain, ...levels } = await timeStarts()
  return (['host', 'workspace', 'locked'] as const).flatMap((level) => {
    const limit = LIMITS_MS[level]
    if (levels[level].length === 0) {
      bench.miss({ what: `starts.${level}`, why: 'this machine does not have the level' })
      return []
    }
    return [
      {
        id: `starts.${level}`,
        title: `a start of \`true\` at the level ${level}`,
        unit: 'ms',
        better: 'less',
        samples: { here: levels[level], plain },
        goals: limit === undefined ? [] : [{ against: 'plain', isDifference: true, atMost: limit }],
      },
    ]
  })
}
