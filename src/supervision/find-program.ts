import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join, resolve } from 'node:path'

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

/** The absolute path of a program, as execvp would find it; undefined when there is none. */
export async function findProgram(
  file: string,
  directories: readonly string[],
  cwd: string,
): Promise<string | undefined> {
  if (file === '') return undefined
  const candidates =
    isAbsolute(file) || file.includes('/')
      ? [resolve(cwd, file)]
      : directories.map((directory) => resolve(cwd, join(directory, file)))
  for (const candidate of candidates) if (await isProgram(candidate)) return candidate
  return undefined
}

export function splitPath(path: string | undefined): string[] {
  return (path ?? '/usr/bin:/bin').split(delimiter).filter((directory) => directory !== '')
}
