import type { Setting } from '../protocol/settings.js'
import { VARIABLES, type Config, type VariableName } from './config.js'

const SECRET = new Set<VariableName>(['CC_EXECUTOR_TOKENS', 'CC_EXECUTOR_TOKEN', 'OTEL_EXPORTER_OTLP_HEADERS'])
const MASK = '***'

/** A URL, or several, as they may be shown: without user and password. */
export const hideUserInfo = (url: string): string => url.replace(/\/\/.*@/, '//…@')

/** Every variable of this process with its value in force and where that comes from; secrets are not shown. */
export function describeConfig(config: Config): Setting[] {
  const derived: Partial<Record<VariableName, string>> = {
    CC_EXECUTOR_DATA_DIR: config.dataDir,
    CC_EXECUTOR_TOKEN_FILE: config.tokenFile,
    CC_EXECUTOR_WORKSPACE_ROOT: config.workspaceRoot,
    CC_EXECUTOR_HOOKS: config.hooksFile,
  }
  // Safe: it has the names of the type, and no others.
  return (Object.keys(VARIABLES) as VariableName[]).map((name) => {
    const given = config.environment[name]
    const [, fallback, description] = VARIABLES[name]
    if (!given)
      return { name, value: derived[name] ?? fallback ?? null, isMasked: false, origin: 'default', description }
    const isMasked = SECRET.has(name)
    const isFromFile = config.secretFiles.some(({ setting }) => setting === `${name}_FILE`)
    const origin = isFromFile ? 'file' : 'environment'
    return { name, value: isMasked ? MASK : hideUserInfo(given), isMasked, origin, description }
  })
}
