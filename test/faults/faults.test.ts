// The fault battery in its short form; `npm run test:faults -- --long N` goes on with new seeds for N minutes.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { loseClients } from './client-faults.js'
import { jumpRedisClock, shiftEveryClock } from './clock-faults.js'
import { demotePrimary } from './demotion-faults.js'
import { silenceDns } from './dns-faults.js'
import { fillDisks } from './disk-faults.js'
import { reachEveryLimit } from './limit-faults.js'
import { killAroundParking } from './parking-faults.js'
import { killAtPlannedMoments } from './schedule-faults.js'
import { endEverythingAtOnce, stopWorkerAsRedisGoes, submitFiftyTimes } from './service-faults.js'
import { killAroundStandby } from './standby-faults.js'
import { endWithLongOutages, surviveShortOutages } from './store-faults.js'
import { killAroundTokens } from './token-faults.js'
import { killAroundDelivery } from './webhook-faults.js'
import { freezeWorkerBeyondItsLease, killWorkerAtEveryPhase } from './worker-faults.js'

// Three at once: most of a scene's time is waiting for leases to end.
t.jobs = 3

const seed = process.env['CC_EXECUTOR_FAULT_SEED'] ?? randomBytes(4).toString('hex')
t.comment(`seed ${seed}; again with: npm run test:faults -- --seed ${seed}`)

const only = process.env['CC_EXECUTOR_FAULT_ONLY']

const SCENES: Record<string, (t: Test, seed: string) => Promise<void>> = {
  'a worker is killed at every phase of a run, and an API beside it': killWorkerAtEveryPhase,
  'a worker is killed while a CLI stands by, and as one is handed over: nothing is left, and the run goes on':
    killAroundStandby,
  'a worker that is frozen beyond its lease is fenced off; cancels race with a dying one': freezeWorkerBeyondItsLease,
  'Redis dies, freezes, is full, cannot be reached for less than a lease: runs go on and nothing is missing':
    surviveShortOutages,
  'Redis is away for longer than a lease: its runs are ended, told of once, and the next ones run': endWithLongOutages,
  'the primary becomes a read-only replica under open connections: all leave it, and nothing is missing': (t, seed) =>
    demotePrimary(t, seed),
  'everything is told to stop at once in mid-run, and comes back: nothing accepted is forgotten': endEverythingAtOnce,
  'Redis goes as a worker is told to stop: it ends in its time, leaves nothing, and says what it could not tell':
    stopWorkerAsRedisGoes,
  'every clock is wrong by an hour, and jumps by two: nothing comes early, late or in another order': shiftEveryClock,
  'fifty submissions with one key make one execution; a reader comes back a hundred times': submitFiftyTimes,
}

// What takes long by its nature: the real lease, Redis away for longer than that, a flood; and what needs root, to
// mount a small disk.
if (process.env['CC_EXECUTOR_TEST_ALL'] === '1') {
  SCENES[
    'the disk is full, the data folder read-only: what cannot run says so, and all is well when there is room again'
  ] = fillDisks
  SCENES[
    'the clock of Redis is set by an hour, forward and back: what runs goes on, and what is dead is not waited for that long'
  ] = jumpRedisClock
  SCENES[
    'every limit is reached: each refusal says what and when to come again, and what was accepted is not touched'
  ] = reachEveryLimit
  SCENES[
    'clients freeze, are killed while frozen, and vanish behind a black hole in a flood: each delays only itself'
  ] = loseClients
  SCENES['workers and APIs are killed around parking and unparking: what is parked stays so, and goes on once'] =
    killAroundParking
  SCENES['workers and APIs are killed around a limited token and a revoked one: limits hold, and no place is lost'] =
    killAroundTokens
  SCENES['APIs are killed at planned moments, Redis restarts, and its clock is set: each moment starts one execution'] =
    killAtPlannedMoments
  SCENES['APIs, workers and Redis are killed around deliveries of webhooks: each end is told, in order'] =
    killAroundDelivery
  SCENES['the primary changes three times under open connections'] = (t, seed) =>
    demotePrimary(t, `${seed}/all`, { processes: 2, rounds: 3 })
  SCENES['DNS is silent as Redis comes back, and as it moves: runs go on, and all is well as soon as it speaks again'] =
    silenceDns
  SCENES['Redis is frozen for 40 s, and is away for longer than a lease in every way'] = async (t, seed) => {
    await Promise.all([
      endWithLongOutages(t, seed, { leaseSeconds: 38, chosen: ['frozen'] }),
      endWithLongOutages(t, `${seed}/all`, { chosen: ['frozen', 'black hole', 'killed', 'full'] }),
    ])
  }
}

for (const [name, play] of Object.entries(SCENES))
  if (only === undefined || name.includes(only)) void t.test(name, (t) => play(t, seed))
