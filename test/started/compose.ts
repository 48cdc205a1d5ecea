// The compose files as they stand, run by podman: the little of Compose that they use, where no Compose is at hand.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { ROOT } from '../support/paths.js'

const DEADLINE_MS = 120_000
const FOLDER = join(ROOT, 'deployment')

type Text = string | number
interface Service {
  readonly image: string
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly user?: string
  readonly environment?: Readonly<Record<string, Text | null>>
  readonly volumes?: readonly string[]
  readonly tmpfs?: readonly string[]
  readonly ports?: readonly string[]
  readonly networks?: readonly string[]
  readonly network_mode?: string
  readonly security_opt?: readonly string[]
  readonly cap_drop?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly ulimits?: Readonly<Record<string, Text>>
  readonly read_only?: boolean
  readonly init?: boolean
  readonly mem_limit?: string
  readonly pids_limit?: Text
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean }
}
interface Network {
  readonly internal?: boolean
  readonly driver_opts?: Readonly<Record<string, string>>
}
interface Volume {
  readonly driver_opts?: Readonly<Record<string, string>>
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks?: Readonly<Record<string, Network | null>>
  readonly volumes?: Readonly<Record<string, Volume | null>>
}

/**
 * crun refuses a host with both versions of control groups mounted; runc does not. A podman that was there before its
 * newer network stack goes on with the one that has no names on internal networks.
 */
const HOW = [
  ...(existsSync('/sys/fs/cgroup/unified') ? ['--runtime=runc'] : []),
  ...(existsSync('/usr/lib/podman/netavark') ? ['--network-backend=netavark'] : []),
]

/** podman would ask for a million of each, which not every machine grants its root. */
const ORDINARY_LIMITS = { nofile: 16_384, nproc: 32_768 }
const toLimits = (limits: Readonly<Record<string, Text>>): string[] =>
  Object.entries({ ...ORDINARY_LIMITS, ...limits }).map(
    ([name, value]) => `--ulimit=${name}=${String(value)}:${String(value)}`,
  )

/** What a command in a fresh container of an image says. */
export const runOnce = (image: string, command: string): Promise<string> =>
  podman('run', '--rm', '--network=none', ...toLimits({}), '--entrypoint=sh', image, '-c', command)

/** @throws with what it said on standard error */
export async function podman(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('podman', [...HOW, ...args], {
    timeout: DEADLINE_MS,
    maxBuffer: 1 << 26,
  })
  return stdout.trim()
}

/** `${NAME}` with `:-`, `:+` or `:?`, and `$$`, as Compose replaces them. @throws where one is wanted and not set */
export function interpolate(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(
    /\$\$|\$\{(\w+)(?::([-+?])([^}]*))?\}/g,
    (_all, name: string | undefined, how: string | undefined, word = '') => {
      if (name === undefined) return '$'
      const value = variables[name] ?? ''
      if (how === '?' && value === '') throw new Error(`${name}: ${String(word)}`)
      return how === '+' ? (value === '' ? '' : word) : value || (how === '-' ? word : '')
    },
  )
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A later file adds to lists and mappings, and takes the place of anything else. */
function merge(base: unknown, over: unknown): unknown {
  if (Array.isArray(base) && Array.isArray(over)) return [...(base as unknown[]), ...(over as unknown[])]
  if (!isRecord(base) || !isRecord(over)) return over
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) merged[key] = key in base ? merge(base[key], value) : value
  return merged
}

async function readCompose(
  folder: string,
  files: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<Compose> {
  const documents = await Promise.all(
    files.map(
      async (file) =>
        parse(
          await readFile(join(folder, file), 'utf8'),
          (_key, value: unknown) => (typeof value === 'string' ? interpolate(value, variables) : value),
          { merge: true },
        ) as unknown,
    ),
  )
  // Safe: test/support/compose-files.ts has the same shape.
  return documents.reduce(merge) as Compose
}

function toSecurity(option: string, folder: string): string {
  const [name, value = ''] = option.split('=')
  if (name === 'seccomp' && value !== 'unconfined') return `seccomp=${join(folder, value)}`
  // podman's word for it.
  return option === 'systempaths=unconfined'
    ? 'unmask=ALL'
    : option.replace('no-new-privileges:true', 'no-new-privileges')
}

const option = (name: string, value: Text | undefined): string[] =>
  value === undefined ? [] : [`--${name}=${String(value)}`]

function toArguments({ project, folder = FOLDER, variables }: ProjectOptions, service: Service): string[] {
  const environment = Object.entries(service.environment ?? {}).flatMap(([name, value]) => {
    const given = value ?? variables[name]
    return given === undefined ? [] : [`--env=${name}=${String(given)}`]
  })
  const volumes = (service.volumes ?? []).map((volume) => {
    const [source = '', ...rest] = volume.split(':')
    return `--volume=${[source.startsWith('.') ? join(folder, source) : `${project}_${source}`, ...rest].join(':')}`
  })
  const test = service.healthcheck?.test
  return [
    // As Docker does it: nothing but what is named can be written.
    ...(service.read_only === true ? ['--read-only', '--read-only-tmpfs=false'] : []),
    ...(service.init === true ? ['--init'] : []),
    ...(service.cap_drop ?? []).map((name) => `--cap-drop=${name}`),
    ...(service.cap_add ?? []).map((name) => `--cap-add=${name}`),
    ...(service.security_opt ?? []).map((text) => `--security-opt=${toSecurity(text, folder)}`),
    ...toLimits(service.ulimits ?? {}),
    ...option('user', service.user),
    ...option('memory', service.mem_limit),
    ...option('pids-limit', service.pids_limit),
    ...option(
      'network',
      service.network_mode ?? (service.networks ?? []).map((name) => `${project}_${name}`).join(','),
    ),
    ...(service.ports ?? []).map((port) => `--publish=${port}`),
    ...(service.tmpfs ?? []).map((mount) => `--tmpfs=${mount}`),
    ...environment,
    ...volumes,
    ...(test ? [`--health-cmd=${test[0] === 'CMD-SHELL' ? (test[1] ?? '') : JSON.stringify(test.slice(1))}`] : []),
    ...(service.entrypoint ? [`--entrypoint=${JSON.stringify(service.entrypoint)}`] : []),
    service.image,
    ...(service.command ?? []),
  ]
}

interface ProjectOptions {
  readonly project: string
  /** Where the files are, and what they mount; unset: deployment/. */
  readonly folder?: string
  readonly files: readonly string[]
  readonly variables: Readonly<Record<string, string>>
}

export interface Project {
  readonly services: readonly string[]
  readonly name: (service: string) => string
  exec(service: string, ...command: readonly string[]): Promise<string>
  /** As Compose's, without volumes left. */
  down(): Promise<void>
}

/** `docker compose -p PROJECT -f FILE… up -d`; without restart policies, so that what ends stays ended. */
export async function up(options: ProjectOptions): Promise<Project> {
  const { project, folder = FOLDER, files, variables } = options
  const { services, networks = {}, volumes = {} } = await readCompose(folder, files, variables)
  const name = (service: string): string => `${project}-${service}-1`
  const down = async (): Promise<void> => {
    await podman('rm', '--force', '--ignore', '--time=2', ...Object.keys(services).map(name))
    for (const volume of Object.keys(volumes)) await podman('volume', 'rm', '--force', `${project}_${volume}`)
    for (const network of Object.keys(networks)) await podman('network', 'rm', '--force', `${project}_${network}`)
  }
  try {
    for (const [network, settings] of Object.entries(networks))
      await podman(
        'network',
        'create',
        ...(settings?.internal === true ? ['--internal'] : []),
        ...Object.entries(settings?.driver_opts ?? {}).map(([key, value]) => `--opt=${key}=${value}`),
        `${project}_${network}`,
      )
    for (const [volume, settings] of Object.entries(volumes))
      await podman(
        'volume',
        'create',
        ...Object.entries(settings?.driver_opts ?? {}).map(([key, value]) => `--opt=${key}=${value}`),
        `${project}_${volume}`,
      )
    for (const [service, settings] of Object.entries(services))
      await podman(
        'run',
        '--detach',
        `--name=${name(service)}`,
        ...(settings.networks ? [`--network-alias=${service}`] : []),
        ...toArguments(options, settings),
      )
  } catch (error) {
    await down()
    throw error
  }
  return {
    services: Object.keys(services),
    name,
    down,
    exec: (service, ...command) => podman('exec', name(service), ...command),
  }
}
