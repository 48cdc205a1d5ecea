// The young generation of a process: as V8 begins it until the process serves, as large as it needs from then on.
import { getHeapSpaceStatistics } from 'node:v8'
import t from 'tap'
import { holdYoungGeneration, settle } from '../../src/main/lifecycle/memory.js'

const MIB = 1024 * 1024

const sizeOfYoung = (): number =>
  getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0

/** What lives on, as everything that is made while modules load. */
function load(): unknown[] {
  const kept: unknown[] = []
  for (let count = 0; count < 1_000_000; count++) kept.push({ count, text: `${count}` })
  return kept
}

void t.test('it is held while a process of the service loads, and grows with use', async (t) => {
  holdYoungGeneration('list')
  holdYoungGeneration('worker')
  const before = sizeOfYoung()
  t.equal(load().length, 1_000_000)
  t.ok(sizeOfYoung() <= Math.max(before, 2 * MIB), `${sizeOfYoung()} bytes after loading, ${before} before`)
  // It keeps no process alive.
  const alive = setInterval(() => undefined, 1_000)
  await settle(1)
  clearInterval(alive)
  t.equal(load().length, 1_000_000)
  t.ok(sizeOfYoung() > 4 * MIB, `${sizeOfYoung()} bytes in use`)
})
