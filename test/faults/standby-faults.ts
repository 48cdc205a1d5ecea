import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { readConfig } from '../../src/platform/config.js'
import { checkInvariants } from './invariants.js'
import { openScene, RESULT, type Scene } from './scene.js'
import { until } from '../support/deadlines.js'

const STANDBY = { CC_EXECUTOR_STANDBY: '1' }

/** Names of folders in which a CLI stands by, or has stood by. */
function listStandby({ cluster }: Scene): string[] {
  const sessions = join(readConfig(cluster.environment).dataDir, 'sessions')
  if (!existsSync(sessions)) return []
  return readdirSync(sessions).filter((name) => existsSync(join(sessions, name, 'standby')))
}

async function untilReady({ cluster, apis: [api] }: Scene): Promise<void> {
  if (!api) throw new Error('no API is left to ask')
  await until(
    async () => (await cluster.call(api, 'GET', '/health/ready')).body?.parts?.workers.standby === 1,
    'a CLI stands by',
  )
}

/** A worker is killed with a CLI on standby, and another one at the moment in which it hands one over. */
export async function killAroundStandby(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'killAroundStandby', seed })
  await scene.openApi()

  const idle = await scene.openWorker(STANDBY)
  await untilReady(scene)
  const [left] = listStandby(scene)
  await scene.end(idle, 'SIGKILL')

  const victim = await scene.openWorker(STANDBY)
  await until(() => listStandby(scene).some((id) => id !== left), 'the other worker has folders for its own')
  await untilReady(scene)
  // Redis knows that it has begun, and its worker never hears of it.
  const handedOver = victim.link.holdAnswersAfter('execution.started')
  const goesOn = await scene.submit('handed over', [RESULT], { onWorkerLost: 'continue' })
  await handedOver
  const used = listStandby(scene).find((id) => id !== left) ?? ''
  await scene.end(victim, 'SIGKILL')

  await scene.hostWorker()
  t.match(await scene.ended(goesOn), { status: 'succeeded' }, 'another worker takes it up in the same folders')
  const [api] = scene.apis
  if (!api) throw new Error('no API is left to ask')
  t.match(await scene.cluster.get(api, goesOn.id), { attempt: 2, workspace: used })
  await until(() => listStandby(scene).join() === used, 'of the one that nobody was handed nothing is left')
  await checkInvariants(t, scene)
  await until(() => listStandby(scene).length === 0, 'the folders go with the execution')
}
