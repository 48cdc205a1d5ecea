import { stat } from 'node:fs/promises'

import { execa } from 'execa'

import { chooseStage, LAUNCHER, LAUNCHER_VARIABLE, toMappedLaunch } from './mapped-launcher.js'
import type { SandboxMeans, SandboxUser } from './sandbox.js'

/** Only what hangs: see containment.ts. */
const PROBE_DEADLINE_MS = 20_000

/**
 * By the number of a file system: whether it lets its owners be shown as others. It does not change while it is
 * mounted.
 */
const known = new Map<number, Promise<boolean>>()

/** Whether the launcher can map this folder. */
async function canMap(perl: string, path: string): Promise<boolean> {
  const { file, args } = toMappedLaunch({
    perl,
    uid: 1,
    stage: chooseStage([path]),
    limits: {},
    folders: [path],
    command: ['true'],
  })
  const { failed } = await execa(file, args, {
    env: { [LAUNCHER_VARIABLE]: LAUNCHER },
    reject: false,
    stdio: 'ignore',
    timeout: PROBE_DEADLINE_MS,
  })
  return !failed
}

/** A file system that cannot be mapped (NFS, FUSE …) leaves the run root by another name. */
export async function chooseUser({ user, perl }: SandboxMeans, owned: readonly string[]): Promise<SandboxUser> {
  if (user !== 'mapped' || perl === undefined) return user
  const answers = await Promise.all(
    owned.map(async (path) => {
      const { dev } = await stat(path)
      let answer = known.get(dev)
      if (answer === undefined) known.set(dev, (answer = canMap(perl, path)))
      return answer
    }),
  )
  return answers.every(Boolean) ? 'mapped' : 'renamed'
}
