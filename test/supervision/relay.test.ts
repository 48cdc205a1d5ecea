// The relay of a run without network stands beside the run; whoever ends the run ends it too, also by dying.
import { execFile } from 'node:child_process'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { findProgram, splitPath } from '../../src/supervision/find-program.js'
import { RELAY } from '../../src/supervision/relay.js'
import { until } from '../support/deadlines.js'
import { listMentioning } from '../support/processes.js'
import { findLastingPort } from '../support/ports.js'

const perl = await findProgram('perl', splitPath(process.env['PATH']), '/')

void t.test('the relay ends with the program that it was started for', { skip: !perl && 'no perl' }, async (t) => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-relay-')))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const socket = join(folder, 'proxy.sock')
  const command = ['sh', '-c', `echo "$$"; exit 3`]
  const ended = await promisify(execFile)(perl ?? '', [
    '-e',
    RELAY,
    String(await findLastingPort()),
    socket,
    ...command,
  ]).catch((error: { readonly code: number; readonly stdout: string }) => error)
  t.match(ended, { code: 3, stdout: /^\d+\n$/ })
  await until(() => listMentioning(socket).length === 0, 'the relay has ended')
})
