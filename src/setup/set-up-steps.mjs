import { buildSources } from './build.mjs'
import { installDependencies } from './install-dependencies.mjs'
import { say, SetUpError } from './messages.mjs'
import { provideClaude } from './provide-claude.mjs'
import { provideContainment } from './provide-containment.mjs'
import { provideRedis } from './provide-redis.mjs'

/** @typedef {{ requireClaude: boolean, claude: string | undefined, claudeRange: boolean }} Options */

/**
 * In the order of what fails soonest and matters most; each looks first whether there is anything to do.
 *
 * @type {Record<string, (options: Options) => Promise<unknown>>}
 */
const STEPS = {
  deps: () => installDependencies(),
  build: () => buildSources(),
  redis: provideRedis,
  claude: provideClaude,
  containment: provideContainment,
}

const USAGE =
  `usage: node src/setup/set-up.mjs [--only=${Object.keys(STEPS).join(',')}] [--require-claude] ` +
  '[--claude=latest|VERSION] [--claude-range]'

/**
 * Runs the steps; says nothing at all when there is nothing to do. Sets the exit code 1 when one of them failed.
 *
 * @param {string[]} args
 */
export async function setUp(args) {
  try {
    const { names, ...options } = readArguments(args)
    for (const name of names) await STEPS[name]?.(options)
  } catch (error) {
    if (error instanceof SetUpError) say(error.message)
    else say(String(error instanceof Error ? error.stack : error))
    process.exitCode = 1
  }
}

/** @param {string[]} args */
function readArguments(args) {
  let names = Object.keys(STEPS)
  let requireClaude = false
  let claudeRange = false
  /** @type {string | undefined} */
  let claude
  for (const arg of args) {
    if (arg === '--require-claude') requireClaude = true
    else if (arg === '--claude-range') claudeRange = true
    else if (arg.startsWith('--claude=')) claude = arg.slice('--claude='.length)
    else if (arg.startsWith('--only=')) names = names.filter((name) => onlyNames(arg).includes(name))
    else throw new SetUpError(`unknown argument ${arg}; ${USAGE}`)
  }
  return { names, requireClaude, claude, claudeRange }
}

/** @param {string} arg */
function onlyNames(arg) {
  const names = arg.slice('--only='.length).split(',')
  const unknown = names.find((name) => !Object.hasOwn(STEPS, name))
  if (unknown !== undefined) throw new SetUpError(`unknown step "${unknown}"; ${USAGE}`)
  return names
}
