import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import t from 'tap'

import { chooseContainment } from '../../src/supervision/containment.js'
import { findProgram } from '../../src/supervision/find-program.js'
import { descendantsOf, isAlive, listProcesses, MARKER_NAME, readProcess } from '../../src/supervision/process-tree.js'
import { sweepDeadAttempts } from '../../src/supervision/sweep-dead-attempts.js'
import { WARDEN } from '../../src/supervision/warden.js'
import { once } from '../support/deadlines.js'

const directory = mkdtempSync(join(tmpdir(), 'cc-containment-'))
const ordinaryPath = process.env['PATH'] ?? ''
t.teardown(() => {
  process.env['PATH'] = ordinaryPath
  rmSync(directory, { recursive: true })
})

/** A PATH on which some programs fail, as they do where namespaces are forbidden. */
function pathWithout(...broken: string[]): string {
  const place = join(directory, randomUUID())
  mkdirSync(place)
  for (const name of broken) {
    writeFileSync(join(place, name), '#!/bin/sh\necho "No permissions to create new namespace" >&2\nexit 1\n', {
      mode: 0o755,
    })
  }
  return `${place}:${ordinaryPath}`
}

void t.test('the strongest level that works is chosen', async (t) => {
  const containment = await chooseContainment({ policy: 'required' })
  t.match(containment, { level: 'bubblewrap', strong: true })

  process.env['PATH'] = pathWithout('bwrap')
  t.match(await chooseContainment({ policy: 'required' }), { level: 'unshare', strong: true })

  process.env['PATH'] = pathWithout('bwrap', 'unshare')
  t.match(await chooseContainment({ policy: 'auto' }), {
    level: 'weak',
    strong: false,
    detail: /install bubblewrap.*No permissions/,
  })
  await t.rejects(chooseContainment({ policy: 'required' }), /install bubblewrap.*CC_EXECUTOR_CONTAINMENT=auto/)
  process.env['PATH'] = ordinaryPath
})

void t.test('a level that only pretends to contain is refused', async (t) => {
  // It runs the warden, but without a namespace: everything would work until the first orphan.
  const place = join(directory, 'pretender')
  mkdirSync(place)
  writeFileSync(join(place, 'bwrap'), '#!/bin/bash\nwhile [[ $1 != -- ]]; do shift; done; shift; "$@"\n', {
    mode: 0o755,
  })
  process.env['PATH'] = `${place}:${ordinaryPath}`
  // Its warden also ends: once it did so with kill -1, and took every process of the machine with it.
  t.match(await chooseContainment({ policy: 'required' }), { level: 'unshare' })
  process.env['PATH'] = ordinaryPath
  t.notMatch(WARDEN.replaceAll(/#.*$/gm, ''), /kill[^\n]*\s["']?-1\b/, 'the warden never signals everything')
})

void t.test('programs are also found in the directories of the project, and an aborted choice ends', async (t) => {
  const place = join(directory, 'cache')
  mkdirSync(place)
  writeFileSync(join(place, 'only-here'), '', { mode: 0o755 })
  t.equal(await findProgram('only-here', ['/usr/bin', place], '/'), join(place, 'only-here'))
  t.equal(await findProgram('cache/only-here', [], directory), join(place, 'only-here'))
  t.equal(await findProgram('nowhere', ['/usr/bin', place], '/'), undefined)
  await t.rejects(chooseContainment({ policy: 'auto', signal: AbortSignal.abort() }), { name: 'AbortError' })
})

void t.test('the sweep kills a marked orphan, and leaves the living and the unmarked', async (t) => {
  const mark = async (marker: string | undefined): Promise<number> => {
    const child = spawn('sleep', ['600'], {
      env: { PATH: ordinaryPath, ...(marker !== undefined && { [MARKER_NAME]: marker }) },
      detached: true,
      stdio: 'ignore',
    })
    t.teardown(() => child.kill('SIGKILL'))
    await once(child, 'spawn')
    if (child.pid === undefined) throw new Error('sleep was not started')
    return child.pid
  }
  const [dead, live] = [randomUUID(), randomUUID()]
  const [orphan, running, stranger] = [await mark(dead), await mark(live), await mark(undefined)].map((pid) =>
    readProcess(pid),
  )
  if (!orphan || !running || !stranger) throw new Error('a sleeper is missing')
  const mine = new Set<string>([dead, live])
  t.equal(await sweepDeadAttempts((marker) => !mine.has(marker) || marker === live), 1)
  t.notOk(isAlive(orphan))
  t.ok(isAlive(running))
  t.ok(isAlive(stranger))
  t.equal(await sweepDeadAttempts((marker) => !mine.has(marker) || marker === live), 0)
})

void t.test('the walk finds descendants of several roots once, also in a circle that a race has drawn', async (t) => {
  const table = [
    [2, 1],
    [3, 2],
    [4, 3],
    [9, 8],
    [8, 9],
  ].map(([pid = 0, ppid = 0]) => ({ pid, ppid, pgid: pid, state: 'S', startTime: '1' }))
  t.same(
    descendantsOf([2, 3], table).map(({ pid }) => pid),
    [4],
  )
  t.same(
    descendantsOf([8], table).map(({ pid }) => pid),
    [9],
  )
  t.ok(listProcesses().some(({ pid }) => pid === process.pid))
})
