import { readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'

/**
 * Each may stand in a file that `NAME_FILE` names: what a container's settings show to everybody is not in it.
 * Addresses are here for the password that they may hold. CC_EXECUTOR_TOKEN is read from CC_EXECUTOR_TOKEN_FILE anyway,
 * and other secrets are files by nature: the keys for Redis, the key of the receipts, Google's credentials.
 */
export const SECRET_NAMES = [
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_AUTH_TOKEN',
  'ANTHROPIC_CUSTOM_HEADERS',
  'ANTHROPIC_FOUNDRY_API_KEY',
  'AWS_BEARER_TOKEN_BEDROCK',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'CC_EXECUTOR_TOKENS',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'REDIS_URL',
] as const

export interface SecretFile {
  readonly path: string
  /** The setting that names it. */
  readonly setting: string
}

export interface SecretFiles {
  /** With what the files say in the place of their names. */
  readonly environment: NodeJS.ProcessEnv
  readonly files: readonly SecretFile[]
}

/** @throws Error naming the variable where its file cannot be read or is empty, or both where both are set */
export function readSecretFiles(environment: NodeJS.ProcessEnv): SecretFiles {
  const secrets = { ...environment }
  const files: SecretFile[] = []
  for (const name of SECRET_NAMES) {
    const path = environment[`${name}_FILE`]
    if (!path) continue
    if (environment[name]) throw new Error(`${name}_FILE: ${name} is set as well; unset one of them.`)
    if (!isAbsolute(path)) throw new Error(`${name}_FILE: expected an absolute path; it is ${JSON.stringify(path)}.`)
    try {
      secrets[name] = readFileSync(path, 'utf8').trim()
    } catch (error) {
      // Safe: node:fs throws errno exceptions.
      const { code, message } = error as NodeJS.ErrnoException
      throw new Error(`${name}_FILE: ${path} cannot be read (${code ?? message}).`, { cause: error })
    }
    // As unset it would lead to another credential, or to a Redis of one's own.
    if (secrets[name] === '') throw new Error(`${name}_FILE: ${path} is empty.`)
    delete secrets[`${name}_FILE`]
    files.push({ path, setting: `${name}_FILE` })
  }
  return { environment: files.length === 0 ? environment : secrets, files }
}

/** For a process that reads them itself: with the names of the files again, in the place of what they say. */
export function withSecretFiles({
  environment,
  secretFiles,
}: {
  readonly environment: NodeJS.ProcessEnv
  readonly secretFiles: readonly SecretFile[]
}): NodeJS.ProcessEnv {
  const named = { ...environment }
  for (const { path, setting } of secretFiles) {
    delete named[setting.replace(/_FILE$/, '')]
    named[setting] = path
  }
  return named
}
