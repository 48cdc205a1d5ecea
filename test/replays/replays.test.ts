// What broke once in the field, played again: recorded transcripts through a scripted CLI, and requests with the real
// one; README.md tells how to add one.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Event } from '../../src/protocol/events.js'
import { scripted } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { makeFolder } from '../support/processes.js'
import { openTestService, type TestService } from '../support/service.js'
import {
  findBrokenPromises,
  isMatch,
  listForgottenFiles,
  readReplays,
  toPattern,
  toSteps,
  withoutNoise,
  type Replay,
  type ReplayRun,
} from './replay.js'

const replays = readReplays()
const bin = await makeFolder(t)

/** A service whose CLI is a scripted one that says it is of this version. */
async function openScripted(version: string): Promise<TestService> {
  const cli = join(bin, `claude-${version}`)
  await writeFile(
    cli,
    `#!/bin/sh\nif [ "$1" = --version ]; then echo "${version} (Claude Code)"; exit; fi\nexec ${process.execPath} ${SCRIPTED_CLI} "$@"\n`,
  )
  await chmod(cli, 0o755)
  return openTestService(t, {
    env: {
      CC_EXECUTOR_CLAUDE_BIN: cli,
      CC_EXECUTOR_CONCURRENCY: '8',
      CC_EXECUTOR_LINE_LIMIT_BYTES: String(1024 * 1024),
    },
  })
}

const versions = [...new Set(replays.filter(({ kind }) => kind === 'transcript').map(({ cli }) => cli))]
const opening = versions.map(async (version) => [version, await openScripted(version)] as const)
const real = await openTestService(t, { env: { CC_EXECUTOR_CONCURRENCY: '4' } })
const byVersion = new Map(await Promise.all(opening))
t.jobs = 6

async function play(t: Test, replay: Replay): Promise<void> {
  t.same(listForgottenFiles(replay), [], 'every file of the folder is used, and there')
  const service = replay.kind === 'run' ? real : byVersion.get(replay.cli)
  if (!service) throw new Error(`no service for ${replay.cli}`)
  const ids: string[] = []
  for (const [index, run] of replay.runs.entries()) {
    if (run.all && process.env['CC_EXECUTOR_TEST_ALL'] !== '1') continue
    const workspace = `${replay.name}-${index}`
    const folder = join(service.config.workspaceRoot, workspace)
    await mkdir(folder, { recursive: true })
    const id = await submit(service, replay, run, { workspace, goOn: join(folder, 'go-on'), ids })
    ids[index] = id
    if (run.holdUntil !== undefined) {
      t.ok(
        await service.until(id, run.holdUntil).catch((error: Error) => t.fail(error.message)),
        `${run.holdUntil} came while the CLI was held`,
      )
      await writeFile(join(folder, 'go-on'), '')
    }
    await check(t, service, id, run)
  }
}

// Safe: a script of the simulator is a list of steps.
const scriptOf = ({ input }: ReplayRun): string => scripted(...(input as unknown[]))

async function submit(
  service: TestService,
  replay: Replay,
  run: ReplayRun,
  { workspace, goOn, ids }: { workspace: string; goOn: string; ids: readonly string[] },
): Promise<string> {
  const prompt = replay.kind === 'run' ? scriptOf(run) : JSON.stringify(toSteps(replay, run, goOn))
  const request = JSON.parse(
    JSON.stringify(run.request).replaceAll(/"#(\d+)"/g, (_all, index: string) => JSON.stringify(ids[Number(index)])),
  )
  const { id } = await service.submit({
    timeoutSeconds: 600,
    ...(request.session === undefined && { workspace }),
    ...request,
    prompt,
  })
  return id
}

async function check(t: Test, service: TestService, id: string, run: ReplayRun): Promise<void> {
  const { expect } = run
  const execution = await service.finished(id)
  const events = await service.events(id)
  t.match(withoutNoise(execution), toPattern(expect.execution), `the execution: ${JSON.stringify(execution.outcome)}`)
  let after = 0
  for (const wanted of expect.events) {
    const pattern = toPattern(wanted)
    const found = events.findIndex((event, index) => index >= after && isMatch(event, pattern))
    t.ok(found >= 0, `${JSON.stringify(wanted)} in its place among ${describe(events.slice(after))}`)
    after = found >= 0 ? found + 1 : after
  }
  for (const [type, count] of Object.entries(expect.counts))
    t.equal(events.filter((event) => event.type === type).length, count, `${count} × ${type}`)
  for (const [name, content] of Object.entries(expect.files)) {
    t.match(
      await readFile(join(service.config.workspaceRoot, execution.workspace, name), 'utf8').catch(() => undefined),
      toPattern(content),
      name,
    )
  }
  for (const [text, isThere] of Object.entries(expect.system)) {
    const request = service.simulator.requests.findLast(
      ({ prompt, side }) => side !== true && prompt?.includes(scriptOf(run).trim()) === true,
    )
    t.ok(request, 'its request came')
    t.equal(request?.system?.join('\n').includes(text), isThere === true, `the system prompt and “${text}”`)
  }
  t.same(findBrokenPromises(events, execution.status), [])
}

const describe = (events: readonly Event[]): string =>
  JSON.stringify(
    events
      .filter(({ type }) => !['claude.message', 'text.delta'].includes(type))
      .map(({ type, data }) => ({ type, data })),
  ).slice(0, 2_000)

t.ok(replays.length >= 20, 'the replays were found')
for (const replay of replays) void t.test(replay.name, (t) => play(t, replay))
