// The young generation of a process: as V8 begins it until the process serves, as large as it needs from then on.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { ROOT } from '../support/paths.js'

const MIB = 1024 * 1024

/** In a process of its own, since this one has loaded already: its size after loading, and in use. */
const PROGRAM = `
  import { getHeapSpaceStatistics } from 'node:v8'
  import { holdYoungGeneration, settle } from '${pathToFileURL(join(ROOT, 'dist/src/main/lifecycle/memory.js')).href}'

  const sizeOfYoung = () => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space').space_size
  // What lives on, as all that is made while modules load.
  const load = () => Array.from({ length: 500_000 }, (_, count) => ({ count, text: String(count) })).length
  holdYoungGeneration(process.argv[1])
  load()
  const loaded = sizeOfYoung()
  // It keeps no process alive by itself.
  const alive = setInterval(() => undefined, 1_000)
  await settle(1)
  clearInterval(alive)
  load()
  console.log(JSON.stringify({ loaded, used: sizeOfYoung() }))
`

async function measure(command: string): Promise<{ loaded: number; used: number }> {
  const args = ['--input-type=module', '--eval', PROGRAM, command]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  // Safe: what the program above prints.
  return JSON.parse(stdout) as { loaded: number; used: number }
}

void t.test('it is held while a process of the service loads, and grows with use', async (t) => {
  const { loaded, used } = await measure('worker')
  t.ok(loaded <= 4 * MIB, `${loaded} bytes after loading`)
  t.ok(used >= 8 * MIB, `${used} bytes in use`)
})

void t.test('of a command that ends at once it is left alone', async (t) => {
  const { loaded } = await measure('list')
  t.ok(loaded >= 8 * MIB, `${loaded} bytes after loading`)
})

/** Garbage of a burst: how much of it is left a while after the process has come to rest. */
const BURST = `
  import { settle } from '${pathToFileURL(join(ROOT, 'dist/src/main/lifecycle/memory.js')).href}'

  const inUse = () => process.memoryUsage().heapUsed
  const alive = setInterval(() => undefined, 1_000)
  await settle(1, 20)
  const before = inUse()
  // Old enough to have left the young generation, where it would go by itself.
  globalThis.kept = Array.from({ length: 500_000 }, (_, count) => ({ count, text: String(count) }))
  const full = inUse()
  globalThis.kept = undefined
  const wait = setInterval(() => {
    if (inUse() > before + (full - before) / 4) return
    clearInterval(wait)
    clearInterval(alive)
    console.log('collected')
  }, 100)
`

void t.test('what a burst has left goes when the process is at rest', async (t) => {
  const args = ['--input-type=module', '--eval', BURST]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  t.equal(stdout.trim(), 'collected')
})
