import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const setpriv = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'setpriv'))
  .find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/**
 * The command, ended with whoever starts it, also where that one is killed and no teardown comes; with the same pid.
 * Where there is no setpriv (util-linux), the command as it is.
 */
export const withParent = (command: readonly string[]): readonly [string, ...string[]] =>
  setpriv === undefined ? [command[0] ?? '', ...command.slice(1)] : [setpriv, '--pdeathsig', 'KILL', '--', ...command]
