/** Pipes and sockets of the service itself, and of each run. */
const OWN_FILES = 256
const FILES_PER_RUN = 16

export interface Limits {
  /** undefined: no limit, or none is told. */
  readonly openFiles: number | undefined
  readonly processes: number | undefined
}

/** What Node started with: it raises its soft limit of open files to the hard one, and its children inherit that. */
export function readLimits(): Limits {
  const toNumber = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
  if (process.report === undefined) return { openFiles: undefined, processes: undefined }
  // Newer than the types: without it every address of the machine is looked up by name.
  Object.assign(process.report, { excludeNetwork: true })
  // Safe: every member is looked at as unknown.
  const report = process.report.getReport() as { userLimits?: Record<string, { soft?: unknown } | undefined> }
  return {
    openFiles: toNumber(report.userLimits?.['open_files']?.soft),
    processes: toNumber(report.userLimits?.['max_user_processes']?.soft),
  }
}

/** What is too little, and what to do about it. */
export interface FileLack {
  readonly isFatal: boolean
  readonly message: string
  readonly remedy: string
}

/** Whether as many connections as are admitted can be served; undefined: they can. */
export function findFileLack(
  settings: { readonly maxConnections: number; readonly concurrency: number },
  { openFiles }: Pick<Limits, 'openFiles'> = readLimits(),
): FileLack | undefined {
  const own = OWN_FILES + settings.concurrency * FILES_PER_RUN
  if (openFiles === undefined || openFiles >= own + settings.maxConnections) return undefined
  if (openFiles < own)
    return {
      isFatal: true,
      message: `the limit of open files is ${openFiles}, and the service alone needs ${own}`,
      remedy: 'ulimit -n 65536 before the start (LimitNOFILE= under systemd)',
    }
  return {
    isFatal: false,
    message:
      `the limit of open files is ${openFiles}: enough for about ${openFiles - own} connections, but ` +
      `${settings.maxConnections} are allowed`,
    remedy: 'ulimit -n 65536 before the start (LimitNOFILE= under systemd), or a lower CC_EXECUTOR_MAX_CONNECTIONS',
  }
}
