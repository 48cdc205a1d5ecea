// The machine has no process left for a start: bubblewrap says so, as it does where a container is at its pids limit.
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { findExecutable, splitPath } from '../../src/platform/redis-server.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

const folder = await mkdtemp(join(tmpdir(), 'cce-scarce-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const bwrap = await findExecutable(
  ['bwrap'],
  [...splitPath(process.env['PATH']), join(homedir(), '.cache/cc-executor/bin')],
)
const [isScarce, tries] = [join(folder, 'scarce'), join(folder, 'tries')]
await writeFile(
  join(folder, 'bwrap'),
  [
    '#!/bin/sh',
    `[ -e ${isScarce} ] || exec ${bwrap} "$@"`,
    `echo try >> ${tries}`,
    'echo "bwrap: Creating new namespace failed: Resource temporarily unavailable" >&2',
    'exit 1',
    '',
  ].join('\n'),
  { mode: 0o755 },
)
await appendFile(tries, '')
process.env['PATH'] = [folder, process.env['PATH']].join(delimiter)
const countTries = async (): Promise<number> => (await readFile(tries, 'utf8')).split('\n').length - 1

void t.test(
  'a start that fails for lack of resources is queued again; a cancel ends it meanwhile',
  { skip: bwrap === undefined ? 'there is no bubblewrap' : false, timeout: 600_000 },
  async (t) => {
    const service = await openTestService(t, {
      env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_CONCURRENCY: '4' },
    })
    const begins = { line: { type: 'system', subtype: 'init', session_id: 's', cwd: '/' } }
    const keepsOn = await service.submit({ prompt: JSON.stringify([begins, { hang: true }]) })
    await service.until(keepsOn.id, 'claude.message')
    await writeFile(isScarce, '')
    const [started, cancelled] = await Promise.all([
      service.submit({ prompt: 'starts later' }),
      service.submit({ prompt: 'is cancelled' }),
    ])
    await until(async () => (await countTries()) >= 2, 'both were tried')
    await service.call('POST', `/executions/${cancelled.id}/cancel`, { body: {} })
    await service.call('POST', `/executions/${keepsOn.id}/cancel`, { body: {} })
    t.match(await service.finished(cancelled.id), { status: 'cancelled', outcome: { code: 'CANCELLED' } })
    await rm(isScarce)
    t.match(await service.finished(started.id), { status: 'succeeded', attempt: 1 })
    t.equal((await service.events(started.id)).filter(({ type }) => type === 'execution.started').length, 1)
    t.match(await service.finished(keepsOn.id), { status: 'cancelled' }, 'what ran beside it went on until then')
  },
)
