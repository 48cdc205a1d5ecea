import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../platform/config.js'
import { findExecutable, splitPath } from '../../platform/redis-server.js'
import { sandboxLevelsOf } from '../../executions/claim/sandbox-levels.js'
import { chooseContainment } from '../../supervision/containment.js'
import { keepsFiles, requireContainment, tellSandboxes } from '../lifecycle/require-containment.js'
import { listMethods } from './check-credentials.js'
import { fail, ok, warn, type Verdict } from './finding.js'

const KEEP = '(add a line in /etc/sysctl.d/ to make it permanent)'

/** What stands in the way of a namespace, most likely first. */
export async function findContainmentRemedy(config: Config, sysctls = '/proc/sys'): Promise<string> {
  const read = async (name: string): Promise<string | undefined> =>
    (await readFile(join(sysctls, ...name.split('.')), 'utf8').catch(() => undefined))?.trim()
  if ((await findExecutable(['bwrap'], [...splitPath(config.environment['PATH']), config.cacheBin])) === undefined)
    return 'apt-get install bubblewrap, or npm run setup'
  if ((await read('kernel.apparmor_restrict_unprivileged_userns')) === '1')
    return config.part === 'worker'
      ? 'AppArmor blocks user namespaces: load deployment/apparmor-worker on the host and set APPARMOR_PROFILE'
      : `AppArmor blocks user namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 ${KEEP}`
  if ((await read('kernel.unprivileged_userns_clone')) === '0')
    return `the kernel blocks user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 ${KEEP}`
  if ((await read('user.max_user_namespaces')) === '0')
    return `the kernel allows no user namespaces: sysctl -w user.max_user_namespaces=10000 ${KEEP}`
  return 'in a container: the three lines of security_opt in deployment/compose.yaml'
}

/** Tries every level with an evil child, as a worker does at its start. */
export async function checkContainment(config: Config): Promise<Verdict> {
  try {
    const containment = await chooseContainment({ policy: config.containment, extraPath: [config.cacheBin] })
    const levels = listMethods(config).map((method) => sandboxLevelsOf(containment, config, method))
    // Levels of one order: the longest list has them all.
    const sandboxes = levels.reduce((most, list) => (list.length > most.length ? list : most), [])
    requireContainment(config, containment, sandboxes)
    const { level, strong, detail } = containment
    if (strong && keepsFiles(sandboxes)) return ok(`${level}: ${tellSandboxes(sandboxes)} ${detail}`)
    if (level === 'bubblewrap')
      return warn(
        `${level}: ${tellSandboxes(sandboxes)} ${detail}`,
        config.sandbox.least === 'host'
          ? 'CC_EXECUTOR_SANDBOX=workspace, or unset it'
          : 'cc-executor needs prlimit (util-linux), and for the level locked perl',
      )
    const remedy = await findContainmentRemedy(config)
    return warn(
      strong
        ? `${level}: ${detail}`
        : `${level}: the processes of a run are found by searching, and a process can evade this deliberately`,
      remedy,
    )
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), await findContainmentRemedy(config))
  }
}
