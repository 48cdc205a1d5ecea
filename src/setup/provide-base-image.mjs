import { cpSync, existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { checkoutDirectory, findOnPath } from './cache.mjs'
import { longStep, SetUpError, withoutHosts } from './messages.mjs'
import { runNpm } from './npm.mjs'
import { provideNode } from './provide-node.mjs'
import { runProgram } from './run-program.mjs'

const PULL_DEADLINE_MS = 3 * 60_000
const MAKE_DEADLINE_MS = 15 * 60_000
/** Debian's name of the release in the Dockerfile's base, and the newest Node.js of its line that the tests know. */
const RELEASE = 'trixie'
const NODE_VERSION = '24.22.3'
const NPM_VERSION = '11.21.2'
const MIRROR = 'http://deb.debian.org/debian'
/** Whatever of our own certificates the machine's programs trust, builds on this machine have to as well. */
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'
export const STAND_IN = 'localhost/cc-executor-stand-in'

/** crun refuses a host with both versions of control groups mounted; runc does not. */
const runtime = () =>
  existsSync('/sys/fs/cgroup/unified') && findOnPath('runc') !== undefined ? ['--runtime', 'runc'] : []

/**
 * @param {readonly string[]} args
 * @param {number} deadlineMs
 * @returns {Promise<string>} what it said on standard output
 */
export async function podman(args, deadlineMs) {
  const { code, expired, stdout, output } = await runProgram('podman', [...runtime(), ...args], {
    deadlineMs,
    cwd: checkoutDirectory,
  })
  if (code === 0) return stdout.trim()
  const tail = output.trimEnd().split('\n').slice(-30).join('\n')
  throw new SetUpError(`podman ${args[0]} ${expired ? 'did not end in time' : 'failed'}:\n${withoutHosts(tail)}`)
}

/** Whether it is here or can be fetched. @param {string} image */
async function hasImage(image) {
  const asks = (/** @type {string[]} */ args, /** @type {number} */ deadlineMs) =>
    podman(args, deadlineMs).then(
      () => true,
      () => false,
    )
  const name =
    image.includes('.') && image.includes('/') ? image : `docker.io/${image.includes('/') ? '' : 'library/'}${image}`
  return (await asks(['image', 'exists', name], PULL_DEADLINE_MS)) || asks(['pull', '-q', name], PULL_DEADLINE_MS)
}

/** The defaults of a Dockerfile's or a compose file's arguments. @param {string} name */
export function defaultImage(name) {
  const dockerfile = readFileSync(join(checkoutDirectory, 'deployment/Dockerfile'), 'utf8')
  const compose = readFileSync(join(checkoutDirectory, 'deployment/compose.yaml'), 'utf8')
  const image =
    new RegExp(`^ARG ${name}=(\\S+)$`, 'm').exec(dockerfile)?.[1] ??
    new RegExp(`\\$\\{${name}:-(\\S+?)\\}`).exec(compose)?.[1]
  if (image === undefined) throw new SetUpError(`neither the Dockerfile nor compose.yaml names ${name}`)
  return image
}

/**
 * The images that ours are built on and run beside: those that the files name where they can be had, else stand-ins
 * made of Debian's packages and of Node.js from npm.
 *
 * @returns {Promise<{ node: string, redis: string }>}
 * @throws SetUpError saying why one cannot be had
 */
export async function provideBaseImages() {
  if (findOnPath('podman') === undefined) throw new SetUpError('podman is not on the PATH')
  const named = { node: defaultImage('NODE_IMAGE'), redis: defaultImage('REDIS_IMAGE') }
  const node = (await hasImage(named.node)) ? named.node : await standInForNode()
  return { node, redis: (await hasImage(named.redis)) ? named.redis : await standInForRedis(node) }
}

async function standInForNode() {
  const tag = `${STAND_IN}:node-${NODE_VERSION}-${RELEASE}`
  if (await isThere(tag)) return tag
  const why = `${defaultImage('NODE_IMAGE')} cannot be fetched, and its stand-in cannot be made: `
  if (findOnPath('debootstrap') === undefined) throw new SetUpError(`${why}debootstrap is not on the PATH`)
  if (process.getuid?.() !== 0) throw new SetUpError(`${why}debootstrap wants root`)
  const folder = mkdtempSync(join(tmpdir(), 'cc-executor-base-'))
  try {
    await longStep(`making a stand-in for ${defaultImage('NODE_IMAGE')} (1 to 3 minutes)`, () => fillBase(folder))
    await podman(
      ['build', '-q', '--network=none', '-t', tag, '-f', join(folder, 'Containerfile'), folder],
      MAKE_DEADLINE_MS,
    )
    return tag
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const isThere = (/** @type {string} */ tag) =>
  podman(['image', 'exists', tag], PULL_DEADLINE_MS).then(
    () => true,
    () => false,
  )

/** @param {string} folder */
async function fillBase(folder) {
  const root = join(folder, 'rootfs')
  const { code, output } = await runProgram(
    'debootstrap',
    ['--variant=minbase', '--include=ca-certificates', RELEASE, root, MIRROR],
    { deadlineMs: MAKE_DEADLINE_MS },
  )
  if (code !== 0) throw new SetUpError(`debootstrap failed:\n${withoutHosts(output.split('\n').slice(-10).join('\n'))}`)
  for (const path of ['var/cache/apt/archives', 'var/lib/apt/lists']) {
    rmSync(join(root, path), { recursive: true, force: true })
    mkdirSync(join(root, path), { recursive: true })
  }
  cpSync(join(await provideNode(NODE_VERSION), 'node'), join(root, 'usr/local/bin/node'))
  await runNpm(['install', `npm@${NPM_VERSION}`, '--prefix', folder, '--no-save', '--ignore-scripts', '--no-global'], {
    cwd: folder,
    deadlineMs: MAKE_DEADLINE_MS,
  })
  cpSync(join(folder, 'node_modules/npm'), join(root, 'usr/local/lib/node_modules/npm'), { recursive: true })
  if (existsSync(CERTIFICATES)) cpSync(CERTIFICATES, join(root, 'usr/local/lib/host-certificates.crt'))
  writeFileSync(
    join(folder, 'Containerfile'),
    [
      'FROM scratch',
      'COPY rootfs /',
      'RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node',
      'RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm',
      // Of the machine that builds: what its proxy signs, builds and runs must trust.
      'ENV NODE_EXTRA_CA_CERTS=/usr/local/lib/host-certificates.crt',
      'CMD ["node"]',
      '',
    ].join('\n'),
  )
}

/** @param {string} from */
async function standInForRedis(from) {
  const tag = `${STAND_IN}:redis-${RELEASE}`
  if (await isThere(tag)) return tag
  const folder = mkdtempSync(join(tmpdir(), 'cc-executor-redis-'))
  try {
    writeFileSync(
      join(folder, 'Containerfile'),
      [
        `FROM ${from}`,
        'RUN apt-get update && apt-get install --yes --no-install-recommends valkey-server valkey-tools \\',
        '  && rm -rf /var/lib/apt/lists/*',
        'RUN install -d -o valkey -g valkey /data',
        'WORKDIR /data',
        'CMD ["valkey-server"]',
        '',
      ].join('\n'),
    )
    await longStep(`making a stand-in for ${defaultImage('REDIS_IMAGE')}`, () =>
      podman(
        ['build', '-q', '--network=host', '-t', tag, '-f', join(folder, 'Containerfile'), folder],
        MAKE_DEADLINE_MS,
      ),
    )
    return tag
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
