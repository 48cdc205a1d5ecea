import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { say, SetUpError } from './messages.mjs'

const BEAT_MS = 2000
const SILENCE_MS = 30_000

/**
 * Runs `work` while no other set-up holds `file`. A lock whose owner is dead is taken over; so is one which nobody has
 * touched for thirty seconds of our own watching (its number may be another program's by now, or another container's).
 *
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @param {number} [waitMs] how long to wait for another set-up
 * @returns {Promise<T>}
 */
export async function withLock(file, work, waitMs = 20 * 60_000) {
  const release = await acquire(file, waitMs)
  const beat = setInterval(() => touch(file), BEAT_MS)
  process.once('exit', release)
  try {
    return await work()
  } finally {
    clearInterval(beat)
    process.off('exit', release)
    release()
  }
}

/** @param {unknown} error */
const codeOf = (error) => (error instanceof Error && 'code' in error ? String(error.code) : '')

const OURSELVES = `${process.pid} ${hostname()}`

/**
 * @param {string} file
 * @param {number} waitMs
 */
async function acquire(file, waitMs) {
  const startedAt = performance.now()
  let watched = { mtimeMs: -1, since: startedAt }
  let isAnnounced = false
  try {
    mkdirSync(dirname(file), { recursive: true })
  } catch (error) {
    throw new SetUpError(`cannot write to ${dirname(file)} (${codeOf(error)}).`)
  }
  for (;;) {
    try {
      writeFileSync(file, OURSELVES, { flag: 'wx' })
      return () => {
        if (readLock(file)?.owner === OURSELVES) rmSync(file, { force: true })
      }
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw new SetUpError(`cannot write to ${dirname(file)} (${codeOf(error)}).`)
    }
    const lock = readLock(file)
    if (lock === undefined) continue
    const now = performance.now()
    if (lock.mtimeMs !== watched.mtimeMs) watched = { mtimeMs: lock.mtimeMs, since: now }
    if (isDead(lock.owner) || now - watched.since > SILENCE_MS) {
      takeAway(file, lock)
      continue
    }
    if (now - startedAt > waitMs) {
      throw new SetUpError(`another set-up (process ${lock.owner}) is still busy; if there is none, remove ${file}.`)
    }
    if (!isAnnounced && now - startedAt > 1000)
      say(`waiting for another set-up (process ${lock.owner.split(' ')[0]}) …`)
    isAnnounced ||= now - startedAt > 1000
    await sleep(200)
  }
}

/** @param {string} file */
function readLock(file) {
  try {
    const { ino, mtimeMs } = statSync(file)
    return { ino, mtimeMs, owner: readFileSync(file, 'utf8') }
  } catch {
    return undefined
  }
}

/** @param {string} owner */
function isDead(owner) {
  const [pid, host] = owner.split(' ')
  if (host !== hostname()) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return codeOf(error) === 'ESRCH'
  }
}

/**
 * Two who wait may judge the same lock stale, and the slower must not remove the fresh lock of the quicker: it is moved
 * aside first, looked at, and put back if it is not the one that was judged.
 *
 * @param {string} file
 * @param {{ ino: number }} judged
 */
function takeAway(file, judged) {
  const aside = `${file}.${process.pid}`
  try {
    renameSync(file, aside)
    if (statSync(aside).ino !== judged.ino) linkSync(aside, file)
  } catch {
    // Somebody else was quicker; the caller looks again.
  }
  rmSync(aside, { force: true })
}

/** @param {string} file */
function touch(file) {
  try {
    utimesSync(file, new Date(), new Date())
  } catch {
    // Taken away from us (we slept longer than thirty seconds): the work itself ends in a rename and stays whole.
  }
}
