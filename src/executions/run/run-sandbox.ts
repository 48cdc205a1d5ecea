import type { Config } from '../../platform/config.js'
import { dirname, isAbsolute, join } from 'node:path'
import { listClaudeFiles } from '../../claude/install/claude-files.js'
import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import { lendCredential, type LentCredential } from '../../claude/install/lent-credential.js'
import type { Sandbox } from '../../claude/stream/spawn-claude.js'
import { openRunProxy, type Destination, type RunProxy } from '../../egress/run-proxy.js'
import { checkoutDirectory } from '../../platform/own-folders.js'
import { socketOf } from '../../platform/redis-url.js'
import { readOtlpHeaders, readOtlpUrls } from '../../platform/tracing-settings.js'
import type { NewEvent } from '../../protocol/events.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import type { OutcomeCode } from '../../protocol/execution.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { RunFolders } from '../workspaces/prepare-workspace.js'
import type { PooledCredential } from '../claim/credential-pool.js'
import type { OtherLogin, RunSandbox } from '../claim/run-reach.js'
import type { RunServices } from '../claim/run-services.js'
import type { Opening } from './opening.js'
import { lendLogin, toOther, writeLogin, type RunLogin } from './run-login.js'

/** Variables that name a file or folder which the run's programs read, where the operator's environment sets them. */
const FILES_BY_NAME = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'CURL_CA_BUNDLE',
  'REQUESTS_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_CONFIG_FILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'GOOGLE_APPLICATION_CREDENTIALS',
]

/** Redis' socket and the file of its password, with which a run would be the service, and the files of secrets. */
function listSecretFiles({ redisUrl, redisAccess: { passwordFile }, secretFiles }: Config): string[] {
  return [socketOf(redisUrl), passwordFile, ...secretFiles.map(({ path }) => path)].filter((path) => path !== undefined)
}

/** The service's own files, wherever settings have moved them: no opening of the operator's shows them. */
export function listOwn({ config }: Pick<RunServices, 'config'>): string[] {
  const { dataDir, workspaceRoot, tokenFile, hooksFile } = config
  return [dataDir, workspaceRoot, tokenFile, hooksFile, ...listSecretFiles(config)]
}

/** The refresh token is the worker's alone, whatever folder an opening shows. */
const listOfLogins = ({ loginFolders }: RunServices['credentials']): string[] =>
  loginFolders.map((folder) => join(folder, '.credentials.json'))

/** What the service is made of: an opening may show it, but never for writing. */
export function listProtected({
  config,
  hooks,
}: Pick<RunServices, 'config'> & { readonly hooks?: RunServices['hooks'] }): string[] {
  const checkout = checkoutDirectory()
  return [
    dirname(config.cacheBin),
    join(checkout, 'dist'),
    join(checkout, 'node_modules'),
    ...(hooks === undefined || hooks.folder === '' ? [] : [hooks.folder]),
  ]
}

/** Variables by which the CLI or its tools would prove somebody, or go another way than by the proxy. */
const NOT_LENT =
  /^(?:ANTHROPIC_(?:API_KEY|AUTH_TOKEN|BASE_URL|CUSTOM_HEADERS|UNIX_SOCKET)|CLAUDE_CODE_OAUTH_\w+|CLAUDE_CODE_API_KEY_\w+|CLAUDE_CONFIG_DIR|(?:HTTPS?|ALL|NO)_PROXY|OTEL_EXPORTER_OTLP_(?:\w+_)?(?:ENDPOINT|HEADERS))$/i
const RELAY = 'http://127.0.0.1:3128'
const NEAR = '127.0.0.1,localhost,::1'

/** Of a run that has no network: the worker's proxy in place of all ways out, and a stand-in for the credential. */
const toLockedVariables = (lent: LentCredential): Record<string, string> => ({
  ...lent.variables,

  ANTHROPIC_BASE_URL: RELAY,
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  NODE_USE_ENV_PROXY: '1',
  ...Object.fromEntries(['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].map((name) => [name, RELAY])),
  NO_PROXY: NEAR,
  no_proxy: NEAR,
})

async function openProxy(
  { config }: RunServices,
  { network }: ExecuteRequest,
  lent: LentCredential,
  report: (event: NewEvent) => void,
): Promise<RunProxy> {
  return openRunProxy({
    upstream: lent.upstream,
    credential: () => lent.headers(),
    onRefused: lent.refuse,
    wanted: network?.hosts ?? [],
    admitted: config.sandbox.hosts,
    onDenied: (data) => report({ type: 'sandbox.denied', data }),
    telemetry: config.cliTelemetry ? toDestinations(config.environment) : undefined,
  })
}

/** The collector by the paths of OTLP, with the headers that a run is not shown. */
function toDestinations(environment: NodeJS.ProcessEnv): Record<string, Destination> {
  const common = environment['OTEL_EXPORTER_OTLP_HEADERS']
  const found = Object.entries(readOtlpUrls(environment)).flatMap(([signal, url]) => {
    const headers = readOtlpHeaders(environment[`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_HEADERS`] || common)
    return url === undefined ? [] : [[`/v1/${signal}`, { url, headers }] as const]
  })
  return Object.fromEntries(found)
}

const NONE: OtherLogin = { kind: 'none' }
const askOther =
  (login: RunLogin | undefined): RunSandbox['findOtherLogin'] =>
  async (code) =>
    code === 'CLAUDE_NOT_AUTHENTICATED' ? ((await login?.findOther()) ?? NONE) : NONE
/** What becomes of a run to which the proxy has said that there is no credential, or none at the moment. */
const PROXYS_WORDS: ReadonlySet<OutcomeCode> = new Set(['CLAUDE_NOT_AUTHENTICATED', 'CLAUDE_OVERLOADED'])

/** What a run of this level needs beside its folders. The caller closes it. @throws LoginError */
export async function openRunSandbox(
  services: RunServices,
  credential: PooledCredential,
  request: ExecuteRequest,
  level: SandboxLevel,
  folders: RunFolders,
  command: ClaudeCommand,
  openings: readonly Opening[] = [],
): Promise<RunSandbox> {
  const { home } = folders
  const login =
    credential.login && level !== 'locked' ? await lendLogin(credential.login, home, services.logger) : undefined
  try {
    return await openReach(services, credential, request, level, folders, command, login, openings)
  } catch (error) {
    await login?.close()
    throw error
  }
}

async function openReach(
  services: RunServices,
  { credentials, environment, login: keeper }: PooledCredential,
  request: ExecuteRequest,
  level: SandboxLevel,
  folders: RunFolders,
  command: ClaudeCommand,
  login: RunLogin | undefined,
  openings: readonly Opening[],
): Promise<RunSandbox> {
  const { config, containment } = services
  const qualities = {
    sandbox: level,
    lifetime: containment.strong,
    files: level !== 'host',
    limits:
      level === 'host' ? ('none' as const) : containment.sandbox?.cgroups ? ('cgroup' as const) : ('prlimit' as const),
  }
  let listener: ((event: NewEvent) => void) | undefined
  const early: NewEvent[] = []
  const listen = (next: (event: NewEvent) => void): void => {
    listener = next
    for (const event of early.splice(0)) next(event)
  }
  if (level === 'host')
    return {
      level,
      command,
      containment: qualities,
      outcome: () => ({ level, deniedHosts: [] }),
      listen,
      settle: () => undefined,
      findOtherLogin: askOther(login),
      close: async () => login?.close(),
    }
  const lent =
    level === 'locked' ? await lendCredential(credentials, environment, config.simulatorUrl, keeper) : undefined
  if (lent?.login !== undefined) await writeLogin(folders.home, lent.login)
  const proxy =
    lent && (await openProxy(services, request, lent, (event) => (listener ? listener(event) : early.push(event))))
  const { readable, writable, sockets, limits } = config.sandbox
  const locked = lent ? toLockedVariables(lent) : {}
  // The proxy passes it on.
  if (lent && command.env['OTEL_TRACES_EXPORTER'] !== undefined) locked['OTEL_EXPORTER_OTLP_ENDPOINT'] = RELAY
  const env: Record<string, string> = {
    ...Object.fromEntries(Object.entries(command.env).filter(([name]) => lent === undefined || !NOT_LENT.test(name))),
    ...locked,
    TMPDIR: folders.temporary,
    USER: 'agent',
    LOGNAME: 'agent',
    // git makes an address of user and host where it knows none, and this host has no name that it takes.
    EMAIL: command.env['EMAIL'] ?? 'agent@localhost',
  }
  const named = FILES_BY_NAME.flatMap((name) => command.env[name] ?? []).filter(isAbsolute)
  const sandbox: Sandbox = {
    level,
    home: folders.home,
    limits,
    readable: [
      ...(await listClaudeFiles(command.file, command.env['PATH'] ?? '')),
      ...named,
      ...readable,
      folders.input,
      ...openings.flatMap((opening) => opening.readable),
    ],
    writable: [folders.home, folders.temporary, ...writable, ...openings.flatMap((opening) => opening.writable)],
    sockets,
    hidden: [...listOwn(services), ...listOfLogins(services.credentials)],
    protected: [...listProtected(services), ...openings.flatMap((opening) => opening.protected)],
    proxyFolder: proxy?.folder,
  }
  return {
    level,
    sandbox,
    command: { ...command, env },
    containment: qualities,
    listen,
    outcome: () => ({ level, deniedHosts: [...(proxy?.deniedHosts ?? [])] }),
    settle: () => proxy?.settle(),
    findOtherLogin:
      lent === undefined
        ? askOther(login)
        : async (code) => (PROXYS_WORDS.has(code) ? toOther(lent.problem?.()) : NONE),
    close: async () => {
      await login?.close()
      await proxy?.close()
    },
  }
}
