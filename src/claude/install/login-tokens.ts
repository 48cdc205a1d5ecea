import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toRecord, toText } from '../json-shape.js'

/** The tokens of the login in this folder, as they are now; none where it cannot be read. */
export async function readLoginTokens(configDir: string): Promise<string[]> {
  try {
    const login = toRecord(
      toRecord(JSON.parse(await readFile(join(configDir, '.credentials.json'), 'utf8')))?.['claudeAiOauth'],
    )
    return ['accessToken', 'refreshToken'].flatMap((name) => toText(login?.[name]) || [])
  } catch {
    return []
  }
}
