// What tests of the doctor have in common.
import { execFile } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Finding } from '../../src/main/doctor/finding.js'
import { readConfig, type Config } from '../../src/platform/config.js'
import { testEnvironment } from '../support/environment.js'

export const run = promisify(execFile)
export const isRoot = process.getuid?.() === 0

export const of = (findings: readonly Finding[], part: string): Finding[] =>
  findings.filter((finding) => finding.part === part)
export const configOf = (folder: string, env: NodeJS.ProcessEnv = {}): Config =>
  readConfig({ ...testEnvironment(folder), ...env })

export async function makeProgram(folder: string, name: string, script: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
  return path
}
