import { dirname, isAbsolute, join } from 'node:path'
import { listClaudeFiles } from '../claude/claude-files.js'
import type { ClaudeCommand } from '../claude/claude-command.js'
import type { Sandbox } from '../claude/spawn-claude.js'
import { checkoutDirectory } from '../platform/own-folders.js'
import type { RunContainment, SandboxLevel, SandboxOutcome } from '../protocol/sandbox.js'
import type { RunFolders } from './prepare-workspace.js'
import type { RunServices } from './run-services.js'

/** Variables that name a file or folder which the run's programs read, where the operator's environment sets them. */
const FILES_BY_NAME = [
  'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS', 'CURL_CA_BUNDLE', 'REQUESTS_CA_BUNDLE', 'GIT_SSL_CAINFO',
  'AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'GOOGLE_APPLICATION_CREDENTIALS',
]

/** What a run may reach, from its preparation to its end. */
export interface RunSandbox {
  readonly level: SandboxLevel
  /** Of a level above `host`. */
  readonly sandbox?: Sandbox
  readonly command: ClaudeCommand
  /** As its start tells it. */
  readonly containment: RunContainment
  /** As its outcome tells it. */
  outcome(): SandboxOutcome
}

/** The service's own files, wherever settings have moved them: no opening of the operator's shows them. */
function listOwn({ config }: Pick<RunServices, 'config'>): string[] {
  const { dataDir, workspaceRoot, tokenFile, hooksFile, redisUrl } = config
  const socket = redisUrl?.startsWith('unix://') === true ? [new URL(redisUrl).pathname] : []
  return [dataDir, workspaceRoot, tokenFile, hooksFile, ...socket]
}

/** What the service is made of: an opening may show it, but never for writing. */
function listProtected({ config, hooks }: Pick<RunServices, 'config' | 'hooks'>): string[] {
  const checkout = checkoutDirectory()
  return [dirname(config.cacheBin), join(checkout, 'dist'), join(checkout, 'node_modules'), ...(hooks.folder === '' ? [] : [hooks.folder])]
}

/** Of the level that was chosen for a run. */
export async function planSandbox(services: RunServices, level: SandboxLevel, folders: RunFolders, command: ClaudeCommand): Promise<RunSandbox> {
  const { config, containment } = services
  const qualities = { sandbox: level, lifetime: containment.strong, files: level !== 'host', limits: level === 'host' ? ('none' as const) : ('prlimit' as const) }
  const outcome = (): SandboxOutcome => ({ level, deniedHosts: [] })
  if (level === 'host') return { level, command, containment: qualities, outcome }
  const { readable, writable, sockets, limits } = config.sandbox
  const env = {
    ...command.env,
    TMPDIR: folders.temporary, USER: 'agent', LOGNAME: 'agent',
    // git makes an address of user and host where it knows none, and this host has no name that it takes.
    ...(command.env['EMAIL'] === undefined && { EMAIL: 'agent@localhost' }),
  }
  const named = FILES_BY_NAME.flatMap((name) => command.env[name] ?? []).filter(isAbsolute)
  const login = command.env['CLAUDE_CONFIG_DIR']
  const sandbox: Sandbox = {
    level, home: folders.home, limits,
    readable: [...(await listClaudeFiles(command.file, command.env['PATH'] ?? '')), ...named, ...readable],
    writable: [folders.home, folders.temporary, ...(login === undefined ? [] : [login]), ...writable],
    sockets, hidden: listOwn(services), protected: listProtected(services),
  }
  return { level, sandbox, command: { ...command, env }, containment: qualities, outcome }
}
