import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tellSandboxes } from '../lifecycle/require-containment.js'
import type { Started } from '../lifecycle/started.js'

/** As a shell takes it back; left alone where nothing needs quotes. */
const quote = (path: string): string => (/^[\w./@%+:,=-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`)

const row = (name: string, text: string): string => `  ${name.padEnd(12)}${text}\n`

/** What a person needs to know after a start: where it is, how to call it, who pays, what a run may do. */
export async function printBanner({ config, api, worker, redis }: Started): Promise<void> {
  const isOpen = config.auth === 'open'
  // Tokens of CC_EXECUTOR_TOKENS are in no file, and are not shown.
  const isInFile = existsSync(config.tokenFile)
  const header = isOpen
    ? ''
    : ` -H "Authorization: Bearer ${isInFile ? `$(cat ${quote(config.tokenFile)})` : '$TOKEN'}"`
  const { authentication, claude, containment } = worker
  const admitted = [
    ...(config.allowBypassPermissions ? ['bypassPermissions'] : []),
    ...(config.allowAutoPermissions ? ['auto'] : []),
  ]
  const lines = [
    '\nCC Executor is running.\n\n',
    row('address', api.url),
    row('docs', `${api.url}/docs`),
    row(
      'try it',
      `curl -N ${api.url}/execute${header} -H 'Content-Type: application/json' -H 'Accept: text/event-stream' -d '{"prompt":"Say hello"}'`,
    ),
    row(
      'token',
      isOpen
        ? 'none needed (open, on this machine only)'
        : isInFile
          ? `in ${config.tokenFile}`
          : 'one of CC_EXECUTOR_TOKENS',
    ),
    row('claude', claude.message),
    row(
      'credentials',
      `${authentication.message}${authentication.remedy === undefined ? '' : ` ${authentication.remedy}`}`,
    ),
    row(
      'permissions',
      [
        worker.permissionMode,
        ...(config.allowedTools.length > 0 ? [`and ${config.allowedTools.join(', ')}`] : []),
      ].join(', ') + (admitted.length > 0 ? ` (admitted: ${admitted.join(', ')})` : ''),
    ),
    row('containment', `${containment.level}: ${containment.detail}`),
    row('sandbox', tellSandboxes(containment.sandboxes ?? [])),
    row('workspaces', [config.workspaceRoot, ...config.allowedRoots].join(', ')),
    row('redis', redis === 'embedded' ? `private, in ${config.dataDir}/redis` : 'REDIS_URL'),
    ...(authentication.method === 'simulated' ? ['\n  simulated: a scripted model answers, not Claude.\n'] : []),
    '\n  Ctrl-C stops it.\n\n',
  ]
  process.stdout.write(lines.join(''))
  // Shown once, and only to a person: a log file is no place for it.
  if (api.tokenCreated && process.stdout.isTTY)
    process.stdout.write(row('first token', (await readFile(config.tokenFile, 'utf8')).trim()))
}
