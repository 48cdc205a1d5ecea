import { pathToFileURL } from 'node:url'

import { checkoutDirectory } from './cache.mjs'
import { SetUpError } from './messages.mjs'
import { podman, provideBaseImages } from './provide-base-image.mjs'
import { compileTests, lastLine, runTests } from './run-tests.mjs'

const TRY_DEADLINE_MS = 60_000
const BUILD_DEADLINE_MS = 30 * 60_000
const NAME = 'localhost/cc-executor-test'
const TESTS = ['test/started/images.test.ts']

/** @typedef {import('./run-tests.mjs').Tally} Tally */

/**
 * Builds the images of deployment/Dockerfile with podman and tests them as compose.yaml starts them; skipped where
 * podman or the images that they are built on cannot be had.
 *
 * @param {{ claudeVersion?: string }} [options]
 * @returns {Promise<Tally>}
 */
export async function runImages({ claudeVersion } = {}) {
  /** @type {Awaited<ReturnType<typeof provideBaseImages>>} */
  let bases
  try {
    bases = await provideBaseImages()
    // As the tests start each: with an init, and within the limits that a machine may have for itself.
    const limits = ['--ulimit=nofile=16384:16384', '--ulimit=nproc=32768:32768']
    await podman(
      ['run', '--rm', '--init', '--network=none', ...limits, bases.node, 'node', '--version'],
      TRY_DEADLINE_MS,
    )
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    console.log(`the images are not tested: ${error.message}`)
    return { passed: 0, failed: 0, skipped: 1 }
  }
  console.log(`images on ${bases.node}, beside ${bases.redis}`)
  const version = String(process.pid)
  const targets = ['api', 'worker', 'worker-full']
  const tags = targets.map((target) => `${NAME}-${target}:${version}`)
  try {
    for (const [index, target] of targets.entries()) await build(target, tags[index] ?? '', bases.node, claudeVersion)
    return await runTests([...TESTS], true, {
      CC_EXECUTOR_TEST_IMAGES: JSON.stringify({ CC_IMAGE: NAME, CC_VERSION: version, REDIS_IMAGE: bases.redis }),
    })
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    console.log(`not ok: ${error.message}`)
    return { passed: 0, failed: 1, skipped: 0 }
  } finally {
    // The layers stay with the stages, as a cache for the next time; images of ours by name do not.
    await podman(['rmi', '--force', ...tags], BUILD_DEADLINE_MS).catch(() => undefined)
  }
}

/**
 * @param {string} target
 * @param {string} tag
 * @param {string} base
 * @param {string} [claudeVersion]
 */
async function build(target, tag, base, claudeVersion) {
  const startedAt = performance.now()
  // Docker's format has the HEALTHCHECK. The build reaches the registries as this machine does.
  const options = ['--format=docker', '--network=host', '--target', target, '--tag', tag]
  const args = [`NODE_IMAGE=${base}`, ...(claudeVersion === undefined ? [] : [`CLAUDE_VERSION=${claudeVersion}`])]
  await podman(
    ['build', ...options, ...args.map((arg) => `--build-arg=${arg}`), '-f', 'deployment/Dockerfile', checkoutDirectory],
    BUILD_DEADLINE_MS,
  )
  const bytes = Number(await podman(['image', 'inspect', '--format', '{{.Size}}', tag], BUILD_DEADLINE_MS))
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
  console.log(`ok ${target} (${(bytes / 1e6).toFixed(0)} MB, ${seconds} s)`)
}

/** `npm run test:images -- [--claude=VERSION]` @param {string[]} args */
async function main(args) {
  const claudeVersion = args.find((arg) => arg.startsWith('--claude='))?.slice('--claude='.length)
  const compiled = await compileTests()
  const tally = compiled.failed > 0 ? undefined : await runImages(claudeVersion === undefined ? {} : { claudeVersion })
  const total = {
    passed: compiled.passed + (tally?.passed ?? 0),
    failed: compiled.failed + (tally?.failed ?? 0),
    skipped: compiled.skipped + (tally?.skipped ?? 0),
  }
  process.exitCode = total.failed === 0 ? 0 : 1
  console.log(lastLine(total))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv.slice(2))
}
