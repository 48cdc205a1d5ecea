import { readFile } from 'node:fs/promises'
import { openClient, type Client } from '../client/open-client.js'
import { ConfigError, isLoopback, readConfig, type Config } from '../platform/config.js'
import { UsageError } from './command.js'

/** The flags that every command which speaks to the service has. */
export const SERVICE_FLAGS = { url: { type: 'string' } } as const
export const SERVICE_USAGE = '  --url URL                       the service; else CC_EXECUTOR_URL, else this machine and CC_EXECUTOR_PORT'

/** The first token of the data folder that stands there in clear: an entry is `[name=]token[:scopes]`, or a hash. */
export async function readLocalToken({ tokenFile }: Pick<Config, 'tokenFile'>): Promise<string | undefined> {
  const text = await readFile(tokenFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw new ConfigError(`CC_EXECUTOR_TOKEN_FILE: ${tokenFile} cannot be read (${error.code ?? error.message}).`)
  })
  const entries = text.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
  return entries.map((entry) => entry.replace(/^[\w.-]+=/, '')).find((entry) => !entry.startsWith('sha256:'))?.split(':')[0]
}

function toAddress({ url, port }: Config, given: string | undefined): string {
  const address = given ?? url
  if (address !== undefined) return address
  if (port === 0) throw new UsageError('CC_EXECUTOR_PORT is 0, so the port is known to the service alone: name its address with --url or CC_EXECUTOR_URL')
  return `http://127.0.0.1:${port}`
}

/** A token of this machine is for this machine: another address gets it only when it was named for it. */
function isHere(address: string): boolean {
  return URL.canParse(address) && isLoopback(new URL(address).hostname.replace(/^\[|\]$/g, ''))
}

/** A client of the service that the user means; whoever opens it closes it. @throws UsageError, ConfigError, ClientError */
export async function connect(given: string | undefined): Promise<Client> {
  const config = readConfig()
  const url = toAddress(config, given)
  return openClient({ url, token: config.token ?? (isHere(url) ? await readLocalToken(config) : undefined) })
}

/** Opens, does, closes. */
export async function withService<Result>(given: string | undefined, act: (client: Client) => Promise<Result>): Promise<Result> {
  const client = await connect(given)
  try {
    return await act(client)
  } finally {
    client.close()
  }
}
