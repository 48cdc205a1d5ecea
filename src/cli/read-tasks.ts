import { readFile } from 'node:fs/promises'
import type { ExecuteRequest } from '../protocol/execute-request.js'
import { UsageError } from './command.js'
import { readInput } from './run-flags.js'

/**
 * The tasks in a file, or on standard input for `-`: a JSON array of them, else each line that is not empty is a
 * prompt. @throws UsageError
 */
export async function readTasks(file: string): Promise<Pick<ExecuteRequest, 'tasks'>> {
  const text =
    file === '-'
      ? await readInput()
      : await readFile(file, 'utf8').catch((error: unknown) => {
          throw new UsageError(`--tasks: ${error instanceof Error ? error.message : String(error)}`)
        })
  if (!text.trimStart().startsWith('['))
    return {
      tasks: text
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== ''),
    }
  try {
    // Safe: toRequest checks it.
    return { tasks: JSON.parse(text) as ExecuteRequest['tasks'] }
  } catch (error) {
    throw new UsageError(
      `--tasks: begins with [ but is not valid JSON (${error instanceof Error ? error.message : String(error)})`,
    )
  }
}
