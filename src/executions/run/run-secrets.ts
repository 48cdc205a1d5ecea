import type { RunRequest } from '../../claude/command/run-request.js'
import { readLoginTokens } from '../../claude/install/login-tokens.js'
import type { SecretMask } from '../../platform/secret-mask.js'
import { secretsOf } from '../../platform/secret-values.js'
import type { McpServer } from '../../protocol/execute-request.js'
import { secretsOfGit } from '../../repositories/git-credentials.js'
import type { RunServices } from '../claim/run-services.js'

const ofEntries = (entries: Readonly<Record<string, string>> = {}): string[] =>
  Object.entries(entries).flatMap(([name, value]) => secretsOf(name, value, 'any'))

/** `--api-key=…`; what follows as a word of its own cannot be told from an ordinary one. */
function ofArgument(argument: string): string[] {
  const [, name = '', value = ''] = /^-{0,2}([\w-]+)=(.*)$/s.exec(argument) ?? []
  return secretsOf(name, value, 'named')
}

const ofServer = (server: McpServer): string[] =>
  'url' in server
    ? [...secretsOf('url', server.url, 'named'), ...ofEntries(server.headers)]
    : [...ofEntries(server.env), ...(server.args ?? []).flatMap(ofArgument)]

/** The operator's secrets, all logins as they are now, and what the request hands to its servers. */
export async function maskOf(
  { mask, credentials, config }: Pick<RunServices, 'mask' | 'credentials' | 'config'>,
  { mcpServers = {} }: Pick<RunRequest, 'mcpServers'>,
): Promise<SecretMask> {
  const tokens = await Promise.all(credentials.loginFolders.map(readLoginTokens))
  const ofGit = await secretsOfGit(config.repositories.credentialsFile)
  return mask.with([...Object.values(mcpServers).flatMap(ofServer), ...tokens.flat(), ...ofGit])
}
