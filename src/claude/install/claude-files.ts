import { open, realpath } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'

/** A package's own folder, as npm lays it out: a CLI that is a script lies beside what it needs. */
const PACKAGE = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/

async function readInterpreter(file: string): Promise<string[]> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0)
    const [, line] = /^#!\s*([^\n]+)/.exec(buffer.subarray(0, bytesRead).toString('latin1')) ?? []
    return line === undefined ? [] : line.trim().split(/\s+/)
  } finally {
    await handle.close()
  }
}

/** What a run must be able to read so that it can start the CLI, wherever that was installed. */
export async function listClaudeFiles(binary: string, path: string): Promise<string[]> {
  const real = await realpath(binary).catch(() => undefined)
  if (real === undefined) return []
  const [interpreter, name] = await readInterpreter(real)
  const own = PACKAGE.exec(real)?.[0] ?? real
  if (interpreter === undefined) return [own]
  const candidates =
    interpreter.endsWith('/env') && name !== undefined
      ? path
          .split(delimiter)
          .filter(isAbsolute)
          .map((folder) => join(folder, name))
      : [interpreter]
  for (const candidate of candidates) {
    const found = await realpath(candidate).catch(() => undefined)
    // By both names: PATH leads to the one, the link to the other.
    if (found !== undefined) return [own, found]
  }
  return [own]
}
