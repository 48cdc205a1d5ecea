import { listConfigured, readHooks, type Hooks } from '../../hooks/hooks-file.js'
import { hookEnvironment } from '../../hooks/hook-environment.js'
import { listHookPrograms } from '../../hooks/hook-programs.js'
import type { Config } from '../../platform/config.js'
import { describeRunWritable } from '../../platform/run-writable.js'
import { HOOK_STAGES } from '../../protocol/hooks.js'
import { findProgram, splitPath } from '../../supervision/find-program.js'
import { fail, ok, warn, type Verdict } from './finding.js'

const REMEDY = 'correct it: no worker starts with this file'

/** Names of the hooks whose programs are not there. */
async function findMissing({ stages, folder }: Hooks, environment: NodeJS.ProcessEnv): Promise<string[]> {
  const hooks = HOOK_STAGES.flatMap((stage) => stages[stage])
  const found = await Promise.all(
    hooks.map((hook) => findProgram(hook.argv[0], splitPath(hookEnvironment(hook, environment)['PATH']), folder)),
  )
  return hooks.filter((_hook, index) => found[index] === undefined).map(({ name }) => name)
}

/** Reads the hooks as a worker does at its start, and looks for their programs. */
export async function checkHooks(config: Config): Promise<Verdict> {
  try {
    const hooks = await readHooks(config)
    const configured = listConfigured(hooks)
    const trouble = describeRunWritable(listHookPrograms(hooks), config)
    if (trouble !== undefined) return fail(trouble, REMEDY)
    const missing = await findMissing(hooks, config.environment)
    if (missing.length > 0)
      return warn(
        `${hooks.path}: the program is missing for ${missing.join(', ')}`,
        'correct its command; a path is relative to the folder of the file',
      )
    return ok(
      configured.length === 0 ? `none (${hooks.path} does not exist)` : `${configured.join(', ')} (${hooks.path})`,
    )
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), REMEDY)
  }
}
