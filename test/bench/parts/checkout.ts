import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openFolder } from '../../../src/platform/open-folder.js'
import { readConfig } from '../../../src/platform/config.js'
import { provideCheckout } from '../../../src/repositories/checkout.js'
import { chooseContainment } from '../../../src/supervision/containment.js'
import { openRoom } from '../../repositories/room.js'
import { git, makeRepository } from '../../repositories/scene.js'
import type { Bench } from '../bench-context.js'
import type { Row } from '../rows.js'

const FOLDERS = 500
const FILES = 100
const LINE = 'export const value = "some text that is about as long as a line of code"\n'
/** The first of them fills the mirror. */
const ROUNDS = 4

/** A checkout of 50,000 files from a warm mirror, beside `git clone --shared` of the same repository. */
async function timeCheckouts(): Promise<{ here: number[]; shared: number[] }> {
  const containment = await chooseContainment({ policy: 'auto', extraPath: [readConfig(process.env).cacheBin] })
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-checkouts-')))
  const at = (...names: string[]): string => join(folder, ...names)
  const times = { here: [] as number[], shared: [] as number[] }
  try {
    for (let index = 0; index < FOLDERS; index += 1) {
      await mkdir(at('origin', `d${index}`), { recursive: true })
      for (let file = 0; file < FILES; file += 1)
        await writeFile(at('origin', `d${index}`, `f${file}.ts`), `// ${index} ${file}\n${LINE.repeat(20)}`)
    }
    await makeRepository(at('origin'), {})
    await git(at('origin'), 'repack', '-q', '-a', '-d')
    for (let round = 0; round < ROUNDS; round += 1) {
      const name = `round-${round}`
      const opened = await openRoom(at(name), containment, { mirrors: at('mirrors') })
      const room = { ...opened, settings: { ...opened.settings, limitBytes: 1024 ** 3 } }
      const workspace = await openFolder(at(name, 'workspace'))
      const place = { folder: at(name, 'repository'), workspace }
      const begunAt = performance.now()
      await provideCheckout(room, name, { url: at('origin'), ref: 'main' }, place, () => true)
      const readyAt = performance.now()
      await promisify(execFile)('git', ['clone', '-q', '--shared', at('origin'), at('clone')])
      if (round > 0) {
        times.here.push(readyAt - begunAt)
        times.shared.push(performance.now() - readyAt)
      }
      await workspace.close()
      for (const each of [name, 'clone']) await rm(at(each), { recursive: true })
    }
    return times
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export async function benchCheckout(_bench: Bench): Promise<Row[]> {
  return [
    {
      id: 'checkout.warm',
      title: 'a checkout of 50,000 files on a warm mirror',
      unit: 'ms',
      better: 'less',
      samples: await timeCheckouts(),
      goals: [{ against: 'shared', atMost: 1.1 }],
    },
  ]
}
