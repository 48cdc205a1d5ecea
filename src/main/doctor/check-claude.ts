import { findCredentials, type Credentials } from '../../claude/credentials.js'
import { isTestedVersion, TESTED_VERSIONS } from '../../claude/find-claude.js'
import { probeClaudeStart } from '../../claude/probe-claude-start.js'
import type { Config } from '../../platform/config.js'
import { inspectClaude } from '../worker.js'
import { fail, ok, warn, type Finding, type Verdict } from './finding.js'

const INSTALL = 'npm run setup, or npm install -g @anthropic-ai/claude-code, or set CC_EXECUTOR_CLAUDE_BIN'

/** Is it there, is it of a version that was tested, and does it start as a run starts it? */
export async function checkClaude(config: Config): Promise<Finding[]> {
  const { binary, version } = await inspectClaude(config)
  if (binary === undefined) return [{ part: 'claude', ...fail('the Claude CLI was not found', INSTALL) }]
  if (version === undefined) return [{ part: 'claude', ...fail(`${binary} does not answer --version`, `reinstall it: ${INSTALL}`) }]
  const tested = [...new Set(Object.values(TESTED_VERSIONS))].join(' to ')
  const state = isTestedVersion(version)
    ? ok(`${version} (${binary})`)
    : warn(`${version} (${binary}) was not tested; ${tested} was. It will probably work`, 'where it does not: take it off PATH, npm run setup, and the tested one is fetched and used')
  const trouble = await probeClaudeStart(binary, config.environment, config.dataDir)
  const start = trouble === undefined ? ok('it starts with a home and a temporary folder of its own') : fail(`it does not start (${trouble})`, `run ${binary} -p hello by hand; reinstall it: ${INSTALL}`)
  return [{ part: 'claude', ...state }, { part: 'claude start', ...start }]
}

/** Everything that would serve, best first: what counts, then what would count without it. */
function rankCredentials(environment: NodeJS.ProcessEnv, rest: NodeJS.ProcessEnv = environment): Credentials[] {
  const found = findCredentials(rest, { simulated: false })
  if (found.method === 'none') return []
  return found.method === 'login' ? [found] : [found, ...rankCredentials(environment, { ...rest, [found.source]: undefined })]
}

export function checkCredentials({ environment, simulatorUrl }: Config): Finding[] {
  const part = 'credentials'
  if (simulatorUrl !== undefined) return [{ part, ...ok('simulated: a scripted model answers, none are needed') }]
  const [first, ...others] = rankCredentials(environment)
  if (first === undefined) {
    const { message, remedy = '' } = findCredentials(environment, { simulated: false })
    return [{ part, ...fail(message, `${remedy} Without an account: npm start -- --simulate`) }]
  }
  const billed = first.billed ? 'billed per use' : 'not billed per use'
  const counts: Verdict = others.length === 0
    ? ok(`${first.source}, ${billed}`)
    : warn(`${first.source} counts and is ${billed}; ${others.map(({ source }) => source).join(' and ')} ${others.length === 1 ? 'does' : 'do'} not`, `unset ${first.source} if that is not meant`)
  return [{ part, ...counts }, ...first.warnings.map((warning): Finding => ({ part, ...warn(warning, 'see How Claude is authenticated in README.md') }))]
}
