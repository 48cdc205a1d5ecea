import type { RunLimits } from '../platform/run-limits.js'
import type { CgroupPlace } from './run-cgroup.js'

/**
 * From least to most: `host` hides the service's own folders, `workspace` shows nothing else, `locked` has no network.
 */
const SANDBOX_LEVELS = ['host', 'workspace', 'locked'] as const
export type SandboxLevel = (typeof SANDBOX_LEVELS)[number]

/**
 * What a run above `host` may reach beside the system's own read-only folders. Paths are absolute; what is not there is
 * skipped.
 */
export interface Sandbox {
  readonly level: Exclude<SandboxLevel, 'host'>
  /** HOME of the run, as its entry in /etc/passwd names it. */
  readonly home: string
  /** Folders of the run's own, beside its working directory, and what the operator has opened. */
  readonly writable: readonly string[]
  readonly readable: readonly string[]
  readonly sockets: readonly string[]
  /** Of the service: not in view, also where an opening contains it. */
  readonly hidden: readonly string[]
  /** What the service is made of: where an opening contains it, it is shown for reading only. */
  readonly protected: readonly string[]
  readonly limits: RunLimits
  /** `locked`: the folder that holds the run's own socket of the worker's proxy. */
  readonly proxyFolder?: string
}

/** How a run comes to be a user other than root. */
export type SandboxUser =
  /** The worker is an ordinary user, and so is the run: the same one. */
  | 'workers'
  /** The worker is root; the run has a uid of its own, and its folders are shown to it as its own. */
  | 'mapped'
  /** The worker is root and folders cannot be shown so: within a user namespace that shows root as another user. */
  | 'renamed'

/** What the self-test has found that this machine can do. */
export interface SandboxMeans {
  readonly user: SandboxUser
  readonly levels: readonly SandboxLevel[]
  readonly bwrap: string
  readonly prlimit: string
  readonly setpriv?: string
  readonly perl?: string
  /** bubblewrap takes open folders, so that what was checked is what is bound. */
  readonly bindsDescriptors: boolean
  /** It may make a control group namespace. */
  readonly cgroupNamespace: boolean
  /** Where the limits of a run can be a control group's; absent: each process has its own (prlimit). */
  readonly cgroups?: CgroupPlace
  /** Files below /etc that are root's alone: hidden where the run is root by another name. */
  readonly privateFiles: readonly string[]
}
