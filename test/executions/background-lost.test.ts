// A worker that goes while a task of its run is awaited, on every CLI that is looked at.
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { isWhole } from '../support/cluster.js'
import { startCli } from '../support/processes.js'
import { openTestService } from '../support/service.js'
import { hasTranscript } from '../support/transcripts.js'
import { until } from '../support/deadlines.js'
import { ALL, FOR_EVER, TURN, behind, findClis, play } from './background-scene.js'

for (const [name, env] of Object.entries(findClis())) {
  void t.test(`${name}: its worker dies, or is stopped, in the middle of the wait`, async (t) => {
    const service = await openTestService(t, { workers: 0, env: { ...env, CC_EXECUTOR_LOCK_SECONDS: '20' } })
    const victim = startCli(t, ['worker'], { ...service.environment, REDIS_URL: service.redis.url })
    await victim.said(/worker \S+: \d+ at once/)
    const steps = [behind(FOR_EVER, 'true'), { text: 'It runs.' }, TURN, { text: 'I looked.' }]
    const [continued, lost] = await Promise.all(
      (ALL ? ['continue', 'fail'] : ['continue']).map((onWorkerLost) =>
        service.submit({ prompt: scripted(...steps), allowedTools: ['Bash'], onWorkerLost }),
      ),
    )
    for (const submitted of [continued, lost]) if (submitted) await service.until(submitted.id, 'background.waiting')
    await until(
      () => hasTranscript(service, continued?.id ?? '', '"tool_result"'),
      'the answered call is in the transcript',
    )
    victim.kill('SIGKILL')
    await victim.ended
    const heir = await service.openWorker()
    if (lost) t.match(await service.finished(lost.id), { status: 'failed', outcome: { code: 'WORKER_LOST' } })
    const ended = await play(service, continued as Execution)
    t.match(ended.execution, { status: 'succeeded', attempt: 2 }, JSON.stringify(ended.execution.outcome))
    isWhole(t, ended.events)
    const prompts = service.simulator.requests.map(({ said }) => JSON.stringify(said ?? []))
    t.ok(
      prompts.some((said) => said.includes('These background tasks had not finished')),
      'the next attempt is told what was lost',
    )

    const handedOver = await service.submit({
      prompt: scripted(...steps),
      allowedTools: ['Bash'],
      onWorkerLost: 'continue',
    })
    await service.until(handedOver.id, 'background.waiting')
    await heir.close('at once')
    await service.openWorker()
    const { execution } = await play(service, handedOver)
    t.match(execution, { status: 'succeeded', attempt: 2 }, JSON.stringify(execution.outcome))
  })
}
