import * as z from 'zod'

/** From least to most. */
export const SandboxLevel = z.enum(['host', 'workspace', 'locked']).meta({
  id: 'SandboxLevel',
  description:
    '`host`: the service’s own folders are hidden. `workspace`: the run sees only the workspace, HOME, a ' +
    'temporary folder, and the system’s programs (read-only). `locked`: in addition, no network except ' +
    'the worker’s proxy, which allows Claude’s API and `network.hosts`, and adds the credential.',
})
export type SandboxLevel = z.infer<typeof SandboxLevel>

const LEVELS = SandboxLevel.options
const rankOf = (level: SandboxLevel): number => LEVELS.indexOf(level)

export const higherLevel = (one: SandboxLevel, other: SandboxLevel): SandboxLevel =>
  rankOf(one) >= rankOf(other) ? one : other

export const highestLevel = (levels: readonly SandboxLevel[]): SandboxLevel | undefined =>
  levels.reduce<SandboxLevel | undefined>(
    (highest, level) => (highest === undefined ? level : higherLevel(highest, level)),
    undefined,
  )

/** A name, `*.` and a name, or an address; with a port or without. */
const NETWORK_HOST = /^(?:(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i
export const NetworkHost = z
  .string()
  .max(260)
  .regex(NETWORK_HOST, 'expected a host such as example.com, *.example.com or example.com:8443')

export const NetworkRequest = z
  .strictObject({
    hosts: z
      .array(NetworkHost)
      .max(200)
      .meta({
        description:
          'Hosts that the run may reach in addition to Claude’s API; only those that the operator allows ' +
          '(CC_EXECUTOR_NETWORK_HOSTS). Without a port: 80 and 443.',
        examples: [['registry.npmjs.org', '*.example.com']],
      }),
  })
  .meta({
    id: 'NetworkRequest',
    description: 'Only at the sandbox level `locked`; the others have the network of the host.',
  })
export type NetworkRequest = z.infer<typeof NetworkRequest>

/** What a run's containment keeps, told apart. */
export const Qualities = z.object({
  lifetime: z.boolean().meta({ description: 'The kernel guarantees that no process of a run survives it.' }),
  files: z
    .boolean()
    .meta({ description: 'A run can access only its own files and those that the operator has opened.' }),
})

export const SandboxOutcome = z
  .object({
    level: SandboxLevel,
    deniedHosts: z
      .array(z.string())
      .meta({ description: 'At the level `locked`: hosts that were requested and refused; at most 100.' }),
  })
  .meta({ id: 'SandboxOutcome' })
export type SandboxOutcome = z.infer<typeof SandboxOutcome>

/** In which the run was started. */
export const RunContainment = z.object({
  sandbox: SandboxLevel,
  ...Qualities.shape,
  limits: z
    .enum(['cgroup', 'prlimit', 'none'])
    .meta({ description: 'What enforces the limits of the run (CC_EXECUTOR_RUN_LIMITS).' }),
})
export type RunContainment = z.infer<typeof RunContainment>

/** Those that are told: a limit for each process, on open files or a file's size, is met out of everybody's sight. */
export const LimitKind = z.enum(['processes', 'memory']).meta({
  description:
    'Limits on open files and file size apply to each process: the process gets EMFILE or EFBIG, and the ' +
    'service is not notified. Later versions may report further kinds: ignore unknown ones.',
})
export type LimitKind = z.infer<typeof LimitKind>
