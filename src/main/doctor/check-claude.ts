import { isMeasured, type InstalledClaude } from '../../claude/behaviour.js'
import { probeClaudeStart } from '../../claude/install/probe-claude-start.js'
import { describeVersion, GET_NEWER, TESTED_VERSIONS } from '../../claude/supported-versions.js'
import type { Config } from '../../platform/config.js'
import { folderWithSocketRoom } from '../../platform/temporary-place.js'
import { INSTALL, inspectClaude } from '../lifecycle/inspect-claude.js'
import { identify, openBehaviourStore } from '../self-check/behaviour-store.js'
import { measureBehaviour, type SelfCheck } from '../self-check/measure-behaviour.js'
import { SHOW_FILES, tryInSandbox } from '../self-check/try-in-sandbox.js'
import { chooseContainment } from '../../supervision/containment.js'
import { describeError, fail, ok, warn, type Finding, type Verdict } from './finding.js'

/** Is it there, is it of a version that is supported, does it start as a run starts it, and how does it behave? */
export async function checkClaude(config: Config): Promise<Finding[]> {
  const seen = await inspectClaude(config)
  if (seen.kind === 'missing') return [{ part: 'claude', ...fail(seen.problem, INSTALL) }]
  if (seen.kind === 'unanswering')
    return [
      {
        part: 'claude',
        ...fail(`${seen.binary} cannot be used: ${seen.problem}`, `run it by hand, or reinstall it: ${INSTALL}`),
      },
    ]
  if (seen.kind === 'too_old')
    return [
      {
        part: 'claude',
        ...fail(
          `CLAUDE_TOO_OLD: ${seen.version} (${seen.binary}) is older than ${TESTED_VERSIONS.from}, the oldest that is supported`,
          GET_NEWER,
        ),
      },
    ]
  const { binary, version, behaviour } = seen.claude
  const trouble = await probeClaudeStart(
    binary,
    config.environment,
    folderWithSocketRoom(config.dataDir, 'probe-XXXXXX/tmp'),
  )
  const start =
    trouble === undefined
      ? ok('it starts with a separate home and temporary folder')
      : fail(`it does not start (${trouble})`, `run ${binary} -p hello by hand; reinstall it: ${INSTALL}`)
  const unseen = trouble === undefined ? await checkInSandbox(config, binary) : undefined
  const check = trouble === undefined ? await selfCheck(config, seen.claude) : undefined
  const model =
    config.environment['ANTHROPIC_MODEL'] || (check && 'behaviour' in check ? check.behaviour : behaviour).defaultModel
  return [
    { part: 'claude', ...ok(`${describeVersion(version, model)} (${binary})`) },
    { part: 'claude start', ...start },
    ...(unseen === undefined ? [] : [{ part: 'claude in the sandbox', ...fail(unseen, SHOW_FILES) }]),
    ...(check ? [{ part: 'claude behaviour', ...toVerdict(check) }] : []),
  ]
}

/** Where runs are; whether there is a sandbox at all is told elsewhere. */
async function checkInSandbox(config: Config, binary: string): Promise<string | undefined> {
  const containment = await chooseContainment({ policy: 'auto', extraPath: [config.cacheBin] })
  return tryInSandbox(binary, { config, containment })
}

/** As the workers do it: what is known of the very version or file, else tried now. */
async function selfCheck(config: Config, claude: InstalledClaude): Promise<SelfCheck | { readonly failure: string }> {
  const { binary, version, behaviour } = claude
  try {
    const store = openBehaviourStore(config.dataDir, `${version}:${await identify(binary)}`)
    const known = await store.read()
    if (known) return known
    if (isMeasured(version)) return { behaviour, problems: [] }
    const check = await measureBehaviour(binary, {
      environment: config.environment,
      folder: config.dataDir,
      signal: new AbortController().signal,
    })
    await store.write(check)
    return check
  } catch (error) {
    return { failure: describeError(error) }
  }
}

function toVerdict(check: SelfCheck | { readonly failure: string }): Verdict {
  if ('failure' in check)
    return warn(
      `the self-check failed: ${check.failure}; it is treated like the newest tested version ` +
        `(${TESTED_VERSIONS.to})`,
      'run cc-executor run "Say hello"and check the output',
    )
  const {
    behaviour: { costAfterResume, knowsPromptSnapshot, tellsBackgroundTasks },
    problems,
  } = check
  const found = [
    `a resumed session reports the cost of ${costAfterResume === 'own' ? 'the run' : 'the whole conversation'}`,
    `the system prompt of a resumed session is ${knowsPromptSnapshot ? 'kept unless a new one is given' : 'replaced by the new one'}`,
    `background tasks are reported ${tellsBackgroundTasks ? 'as a set' : 'one by one'}`,
  ].join('; ')
  return problems.length === 0
    ? ok(found)
    : warn(
        `${found}; but ${problems.join('; ')}`,
        `a newer release of this service may know it (this one was tested up to ${TESTED_VERSIONS.to})`,
      )
}
