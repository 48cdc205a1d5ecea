/** What one run may use at most. Sizes in bytes; what is not named is not limited. */
export interface RunLimits {
  /** Processes and threads. */
  readonly processes?: number
  /** Of a control group: of all processes together. Else of each one's own data. */
  readonly memory?: number
  /** Open files of each process. */
  readonly files?: number
  /** Of one file. */
  readonly fileSize?: number
}

const NAMES = { processes: 'processes', memory: 'memory', files: 'files', file_size: 'fileSize' } as const
const UNITS: Readonly<Record<string, number>> = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }
/** Below these the CLI itself does not start (facts: sandbox, section 6). */
const LEAST: Required<RunLimits> = { processes: 32, memory: 1024 ** 3, files: 64, fileSize: 1024 ** 2 }

const isName = (name: string): name is keyof typeof NAMES => Object.hasOwn(NAMES, name)

/**
 * `processes=512,memory=4GiB,files=4096,file_size=10GiB`; a name with `none` is without limit. @throws Error saying
 * what is wrong
 */
export function parseRunLimits(text: string): RunLimits {
  const limits: { -readonly [Name in keyof RunLimits]: RunLimits[Name] } = {}
  for (const part of text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')) {
    const [, name = '', value = ''] = /^(\w+)=(\w+)$/.exec(part) ?? []
    if (!isName(name))
      throw new Error(`expected ${Object.keys(NAMES).join(', ')}, each with = and a number, as in processes=512`)
    const [, digits, unit = ''] = /^(\d{1,15})([KMGT]iB)?$/.exec(value) ?? []
    if (value === 'none') continue
    const isCount = name === 'processes' || name === 'files'
    if (digits === undefined || (isCount && unit !== ''))
      throw new Error(`${name}: expected ${isCount ? 'a number' : 'a size, as 4GiB'}, or none`)
    const number = Number(digits) * (UNITS[unit] ?? 1)
    const field = NAMES[name]
    if (number < LEAST[field]) throw new Error(`${name}: ${value} is less than the CLI itself needs (${LEAST[field]})`)
    limits[field] = number
  }
  return limits
}
