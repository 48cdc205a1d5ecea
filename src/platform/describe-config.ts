import { VARIABLES, type Config, type VariableName } from './config.js'

/** A variable with what it is and where it comes from, for `cc-executor config`. */
export interface ConfigEntry {
  readonly name: VariableName
  readonly value: string
  readonly origin: 'environment' | 'default'
  readonly description: string
}

const SECRET = new Set<string>(['CC_EXECUTOR_TOKENS', 'CC_EXECUTOR_TOKEN', 'OTEL_EXPORTER_OTLP_HEADERS'])

/** A URL as it may be shown: without user and password. */
export const hideUserInfo = (url: string): string => url.replace(/\/\/.*@/, '//…@')

function showValue(name: string, value: string): string {
  if (SECRET.has(name)) return '(set)'
  return name.endsWith('_URL') ? hideUserInfo(value) : value
}

/** Every variable with its value in force and where that comes from; secrets are not shown. */
export function describeConfig(config: Config): ConfigEntry[] {
  const derived: Partial<Record<VariableName, string>> = {
    CC_EXECUTOR_DATA_DIR: config.dataDir,
    CC_EXECUTOR_TOKEN_FILE: config.tokenFile,
    CC_EXECUTOR_WORKSPACE_ROOT: config.workspaceRoot,
    CC_EXECUTOR_HOOKS: config.hooksFile,
  }
  return (Object.keys(VARIABLES) as VariableName[]).map((name) => {
    const given = config.environment[name]
    const [, fallback, description] = VARIABLES[name]
    return given
      ? { name, value: showValue(name, given), origin: 'environment', description }
      : { name, value: derived[name] ?? fallback ?? '(unset)', origin: 'default', description }
  })
}
