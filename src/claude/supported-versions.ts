import { compareVersions } from './behaviour.js'

/**
 * Both ends are tested (test/cli-contract), and what lies between is taken to be like them. Below, nothing is
 * supported;
 * newer ones run too, and are only called newer. `to` is what set-up fetches (src/setup/cache.mjs), a test compares the
 * two.
 */
export const TESTED_VERSIONS = { from: '2.1.197', to: '2.1.332' } as const

/** How to get a newer one; never an older one, which new models refuse. */
export const GET_NEWER =
  'npm run setup -- --claude=latest, or npm install -g @anthropic-ai/claude-code@latest, or CC_EXECUTOR_CLAUDE_BIN set to a newer one'

export const isTooOld = (version: string): boolean => compareVersions(version, TESTED_VERSIONS.from) < 0

const isNewerThanTested = (version: string): boolean => compareVersions(version, TESTED_VERSIONS.to) > 0

export const isTestedVersion = (version: string): boolean => !isTooOld(version) && !isNewerThanTested(version)

/** What a worker says that refuses to start with it, and the doctor. */
export const describeTooOld = (version: string, binary: string): string =>
  `CLAUDE_TOO_OLD: the Claude CLI ${version} (${binary}) is older than ${TESTED_VERSIONS.from}, ` +
  `the oldest that is supported; get a newer one: ${GET_NEWER}.`

/** In one line, as the banner, the doctor and the health show it. */
export function describeVersion(version: string, defaultModel: string | undefined): string {
  const newer = isNewerThanTested(version)
    ? ` (newer than the tested ${TESTED_VERSIONS.from} to ${TESTED_VERSIONS.to}, which is fine)`
    : ''
  return `Claude CLI ${version}${newer}${defaultModel === undefined ? '' : `, default model ${defaultModel}`}`
}

/**
 * As the API words its refusal, in the CLI's own report: `Claude Code 2.1.259 does not support this model; version
 * 2.1.280 or newer is required.`
 */
const REFUSAL = /does not support this model; version (\d+(?:\.\d+)+) or newer is required/
const REFUSAL_CODE = 'claude_code_version_too_old'

/** Whether the API refused the CLI as too old for the model, and from which version on it does not. */
export function readVersionRefusal(text: string): { readonly requiredVersion?: string } | undefined {
  const requiredVersion = REFUSAL.exec(text)?.[1]
  if (requiredVersion !== undefined) return { requiredVersion }
  return text.includes(REFUSAL_CODE) ? {} : undefined
}
