import { isAbsolute } from 'node:path'
import * as z from 'zod'
import { NetworkHost, SandboxLevel } from '../protocol/sandbox.js'
import { parseRunLimits, type RunLimits } from './run-limits.js'

/** What the operator says of the sandbox. */
export interface SandboxSettings {
  /** The least level of every run; unset: `workspace` where the machine can. */
  readonly least: SandboxLevel | undefined
  readonly readable: readonly string[]
  readonly writable: readonly string[]
  readonly sockets: readonly string[]
  readonly hosts: readonly string[]
  readonly limits: RunLimits
}

const list = z.string().transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)
const paths = list.pipe(z.array(z.string().refine(isAbsolute, 'expected absolute paths')))
const limits = z.string().transform((value, context): RunLimits => {
  try {
    return parseRunLimits(value)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
    return z.NEVER
  }
})

/** Rows of the table in config.ts. */
export const SANDBOX_VARIABLES = {
  CC_EXECUTOR_SANDBOX: [
    SandboxLevel,
    undefined,
    'minimum sandbox level of a run: host, workspace or locked; unset: workspace if the machine supports it',
  ],
  CC_EXECUTOR_SANDBOX_READ: [paths, '', 'additional files and folders that every run may read'],
  CC_EXECUTOR_SANDBOX_WRITE: [paths, '', 'additional folders that every run may write'],
  CC_EXECUTOR_SANDBOX_SOCKETS: [paths, '', 'unix sockets of the host that every run may use'],
  CC_EXECUTOR_NETWORK_HOSTS: [
    list.pipe(z.array(NetworkHost)),
    '',
    'hosts that a request may name for a locked run (network.hosts)',
  ],
  CC_EXECUTOR_RUN_LIMITS: [
    limits,
    'processes=512,memory=4GiB,files=4096,file_size=10GiB',
    'what one run may use; a name with none is without limit',
  ],
} as const

interface Values {
  readonly CC_EXECUTOR_SANDBOX?: SandboxLevel | undefined
  readonly CC_EXECUTOR_SANDBOX_READ: readonly string[]
  readonly CC_EXECUTOR_SANDBOX_WRITE: readonly string[]
  readonly CC_EXECUTOR_SANDBOX_SOCKETS: readonly string[]
  readonly CC_EXECUTOR_NETWORK_HOSTS: readonly string[]
  readonly CC_EXECUTOR_RUN_LIMITS: RunLimits
}

export const toSandboxSettings = (values: Values): SandboxSettings => ({
  least: values.CC_EXECUTOR_SANDBOX,
  readable: values.CC_EXECUTOR_SANDBOX_READ,
  writable: values.CC_EXECUTOR_SANDBOX_WRITE,
  sockets: values.CC_EXECUTOR_SANDBOX_SOCKETS,
  hosts: values.CC_EXECUTOR_NETWORK_HOSTS,
  limits: values.CC_EXECUTOR_RUN_LIMITS,
})
