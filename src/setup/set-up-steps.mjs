import { buildSources, isBuilt } from './build.mjs'
import { cacheDirectory, checkoutDirectory, isPackage } from './cache.mjs'
import { installDependencies, isInstalled } from './install-dependencies.mjs'
import { beginStep, say, SetUpError } from './messages.mjs'
import { hasClaude, provideClaude } from './provide-claude.mjs'
import { hasContainment, provideContainment } from './provide-containment.mjs'
import { hasRedis, provideRedis } from './provide-redis.mjs'

/** @typedef {{ requireClaude: boolean, claude: string | undefined, claudeRange: boolean }} Options */

/**
 * In the order of what fails soonest and matters most. `isDone` is quick and changes nothing: what is to do is counted
 * before the first step begins. Each step looks again, since another set-up may have done it meanwhile.
 *
 * @type {Record<string, { isDone: (options: Options) => boolean, provide: (options: Options) => Promise<unknown> }>}
 */
const STEPS = {
  deps: { isDone: () => isPackage || isInstalled(checkoutDirectory), provide: () => installDependencies() },
  build: { isDone: () => isPackage || isBuilt(checkoutDirectory), provide: () => buildSources() },
  redis: { isDone: hasRedis, provide: provideRedis },
  claude: { isDone: hasClaude, provide: provideClaude },
  containment: { isDone: hasContainment, provide: provideContainment },
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
    refuseSwallowedFlags(process.env)
    const { names, ...options } = readArguments(args)
    const due = names.filter((name) => !STEPS[name]?.isDone(options))
    if (due.length > 1) {
      say(
        `${due.length} steps, the first time: a few minutes; nothing outside this folder and ` +
          cacheDirectory() +
          ' is changed',
      )
    }
    for (const [index, name] of due.entries()) {
      beginStep(index + 1, due.length)
      await STEPS[name]?.provide(options)
    }
  } catch (error) {
    if (error instanceof SetUpError) say(error.message)
    else say(String(error instanceof Error ? error.stack : error))
    process.exitCode = 1
  }
}

/** By npm script, the flags of the program behind it. @type {Record<string, string[]>} */
const FLAGS = { start: ['simulate', 'open', 'root'], setup: ['claude', 'require-claude'] }

/**
 * Without `--` npm takes a flag for a setting of its own, and the program never sees it: `npm start --simulate` would
 * start without the simulator, on somebody's account.
 *
 * @param {NodeJS.ProcessEnv} env
 */
function refuseSwallowedFlags(env) {
  const script = env.npm_lifecycle_event ?? ''
  const flags = (Object.hasOwn(FLAGS, script) && FLAGS[script]) || []
  const flag = flags.find((name) => env[`npm_config_${name.replaceAll('-', '_')}`] !== undefined)
  if (flag === undefined) return
  const call = script === 'start' ? 'npm start' : `npm run ${script}`
  throw new SetUpError(`npm kept --${flag} for itself; with two dashes before it, it arrives: ${call} -- --${flag} …`)
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
