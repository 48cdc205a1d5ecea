// A service with hooks that do what the metadata of an execution say (test/fixtures/hook.sh); the CLI is scripted.
import { writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { makeFolder } from '../support/processes.js'
import { ROOT, SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

export const MIB = 1024 * 1024
export const SECRET = 'a-secret-that-only-one-hook-may-see'
const HOOK = join(ROOT, 'test/fixtures/hook.sh')
/** Of hooks that must not reach it everywhere else, on a machine that holds a process up for seconds. */
export const PATIENCE_SECONDS = 20
const hook = (name: string, more: object = {}): object => ({
  name,
  command: [HOOK, name],
  timeoutSeconds: 60,
  ...more,
})
/** Metadata that tell a hook what to do. */
export const act = (actions: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(actions).map(([name, code]) => [name, Buffer.from(code).toString('base64')]))
const is = <Type extends EventType>(event: Event, type: Type): event is Event<Type> => event.type === type
/** The log as a story: types, and of hooks stage, name and how they ended. */
export const tell = (events: readonly Event[]): string[] =>
  events
    .filter(({ type }) => !['text.delta', 'claude.message', 'progress'].includes(type))
    .map((event) =>
      is(event, 'hook.finished')
        ? `${event.data.name} ${event.data.exitCode ?? event.data.ending}`
        : `${event.type.replace('execution.', '')}${'index' in event.data ? ` ${event.data.index}` : ''}`,
    )
export const stay = (tag: string): string => `bash -c 'trap "" TERM HUP; while :; do sleep 5; done' ${tag}`

export const untilExists = (path: string): Promise<void> => until(() => existsSync(path), path)

export async function openHooks(t: Test) {
  const folder = await makeFolder(t)
  const hooksFile = join(folder, 'hooks.json')
  await writeFile(
    hooksFile,
    JSON.stringify({
      timeoutSeconds: 60,
      env: { GREETING: 'good day' },
      'pre-execute': [
        hook('gate', { passEnv: ['HOOK_TEST_SECRET'] }),
        hook('patience', { timeoutSeconds: PATIENCE_SECONDS }),
        hook('policy', { required: true, cwd: 'workspace' }),
      ],
      'post-execute': hook('after'),
      'pre-task-list': [
        hook('list-gate'),
        hook('list-patience', { timeoutSeconds: PATIENCE_SECONDS }),
        hook('list-policy', { required: true, cwd: 'workspace' }),
      ],
      'post-task-list': [hook('list-after'), hook('list-late', { timeoutSeconds: PATIENCE_SECONDS })],
      'on-failure': [hook('alarm'), { name: 'absent', command: ['./not-there.sh'] }],
    }),
  )

  const service = await openTestService(t, {
    env: {
      CC_EXECUTOR_AUTH: 'open',
      CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
      CC_EXECUTOR_CONCURRENCY: '8',
      CC_EXECUTOR_HOOKS: hooksFile,
      CC_EXECUTOR_TOKENS: `ops=${SECRET}-too`,
      ANTHROPIC_API_KEY: `${SECRET}-three`,
      HOOK_TEST_SECRET: SECRET,
    },
  })

  const submit = (actions: Record<string, string>, more: Record<string, unknown> = {}): Promise<Execution> =>
    service.submit({ prompt: 'hello', metadata: act(actions), ...more })
  const run = async (actions: Record<string, string>, more: Record<string, unknown> = {}): Promise<Execution> =>
    service.finished((await submit(actions, more)).id)
  async function hookOf({ id }: Execution, name: string): Promise<Event<'hook.finished'>['data']> {
    const found = (await service.events(id)).find(
      (event): event is Event<'hook.finished'> => is(event, 'hook.finished') && event.data.name === name,
    )
    if (!found) throw new Error(`there is no event of ${name}`)
    return found.data
  }

  return { service, folder, hooksFile, submit, run, hookOf }
}
