import { isAbsolute } from 'node:path'
import type { Hook } from './hooks-file.js'

/** What every program needs and nobody minds: no credentials, nothing of the service's or of Claude's. */
const PASSED =
  /^(?:HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|CURL_CA_BUNDLE)$/
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** A shorter value is no secret, and stands in many a word. */
const SECRET_CHARACTERS = 6

/** Relative entries of a PATH would mean the folder of the hook, which may be a workspace. */
function toPath(path: string | undefined): string {
  const folders = (path ?? '').split(':').filter(isAbsolute)
  return folders.length === 0 ? DEFAULT_PATH : folders.join(':')
}

/** The whole environment of a hook, what is told of its execution apart. */
export function hookEnvironment(
  { env, passEnv }: Pick<Hook, 'env' | 'passEnv'>,
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  const passed = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (PASSED.test(entry[0]) || passEnv.includes(entry[0])),
  )
  return { ...Object.fromEntries(passed), PATH: toPath(environment['PATH']), ...env }
}

/** What a hook wrote is shown to the execution's caller: the variables that only it may see are not. */
export function hideSecrets(text: string, { passEnv }: Pick<Hook, 'passEnv'>, environment: NodeJS.ProcessEnv): string {
  const values = passEnv.flatMap((name) => environment[name] ?? []).filter((value) => value.length >= SECRET_CHARACTERS)
  return values.reduce((hidden, value) => hidden.replaceAll(value, '…'), text)
}
