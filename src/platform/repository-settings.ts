import { isAbsolute } from 'node:path'
import * as z from 'zod'
import { wholeNumber } from '../protocol/numbers.js'
import { describePattern } from './repository-url.js'

const GIB = 1024 ** 3
const DAY_SECONDS = 86_400
const pattern = z.string().superRefine((text, context) => {
  const fault = describePattern(text)
  if (fault !== undefined) context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} ${fault}` })
})
const list = z
  .string()
  .transform((value) =>
    value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  )
  .pipe(z.array(pattern))

/** What concerns runs on a `repository`. */
export const REPOSITORY_VARIABLES = {
  CC_EXECUTOR_REPOSITORIES: [
    list,
    '',
    'repositories that runs may name, with * for any part: https://github.com/acme/*, ssh://git@host/*, /srv/git/*; ' +
      'empty: none',
  ],
  CC_EXECUTOR_GIT_CREDENTIALS_FILE: [
    z.string().refine(isAbsolute, 'expected an absolute path'),
    undefined,
    'by which the worker fetches and pushes: lines of git’s credential store, and ssh://user@host KEYFILE; mode 0600',
  ],
  CC_EXECUTOR_GIT_TIMEOUT_SECONDS: [
    wholeNumber(1, DAY_SECONDS),
    '600',
    'how long one fetch, checkout or push may take',
  ],
  CC_EXECUTOR_REPOSITORY_LIMIT_BYTES: [
    wholeNumber(1024 * 1024, 1024 * GIB),
    String(4 * GIB),
    'of one repository: its packs, and the files of one checkout',
  ],
  CC_EXECUTOR_MIRRORS_LIMIT_BYTES: [
    wholeNumber(0, 1024 * GIB),
    String(20 * GIB),
    'of all mirrors of repositories in the data folder; beyond this the one used least recently is removed',
  ],
  CC_EXECUTOR_MIRRORS_SECONDS: [wholeNumber(0, 3650 * DAY_SECONDS), '2592000', 'how long an unused mirror is kept'],
} as const satisfies Record<string, readonly [z.ZodType, string | undefined, string]>

export interface RepositorySettings {
  /** Patterns of addresses. */
  readonly allowed: readonly string[]
  readonly credentialsFile: string | undefined
  readonly timeoutMs: number
  readonly limitBytes: number
  readonly mirrorsLimitBytes: number
  readonly mirrorsMs: number
}

type Values = {
  readonly [Name in keyof typeof REPOSITORY_VARIABLES]:
    | z.output<(typeof REPOSITORY_VARIABLES)[Name][0]>
    | ((typeof REPOSITORY_VARIABLES)[Name][1] extends string ? never : undefined)
}

export const toRepositorySettings = (values: Values): RepositorySettings => ({
  allowed: values.CC_EXECUTOR_REPOSITORIES,
  credentialsFile: values.CC_EXECUTOR_GIT_CREDENTIALS_FILE,
  timeoutMs: values.CC_EXECUTOR_GIT_TIMEOUT_SECONDS * 1_000,
  limitBytes: values.CC_EXECUTOR_REPOSITORY_LIMIT_BYTES,
  mirrorsLimitBytes: values.CC_EXECUTOR_MIRRORS_LIMIT_BYTES,
  mirrorsMs: values.CC_EXECUTOR_MIRRORS_SECONDS * 1_000,
})
