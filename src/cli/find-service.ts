import { readFile } from 'node:fs/promises'
import { openClient, type Client } from '../client/open-client.js'
import { ConfigError, isLoopback, readConfig, type Config } from '../platform/config.js'
import { findService } from '../platform/service-record.js'
import { UsageError } from './command.js'

/** The flags that every command which speaks to the service has. */
export const SERVICE_FLAGS = { url: { type: 'string' } } as const
export const SERVICE_USAGE =
  '  --url URL                       the service; else CC_EXECUTOR_URL, else the one of the data folder'

/** The first token of the data folder that stands there in clear: an entry is `[name=]token[:scopes]`, or a hash. */
export async function readLocalToken({ tokenFile }: Pick<Config, 'tokenFile'>): Promise<string | undefined> {
  const text = await readFile(tokenFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw new ConfigError(`CC_EXECUTOR_TOKEN_FILE: ${tokenFile} cannot be read (${error.code ?? error.message}).`)
  })
  const entries = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  return entries
    .map((entry) => entry.replace(/^[\w.-]+=/, ''))
    .find((entry) => !entry.startsWith('sha256:'))
    ?.split(':')[0]
}

interface Address {
  readonly url: string
  /** A token of this machine is for this machine: another address gets it only when it was named for it. */
  readonly isHere: boolean
}

async function findAddress({ url, port, dataDir }: Config, given: string | undefined): Promise<Address> {
  const named = given ?? url
  if (named !== undefined)
    return { url: named, isHere: URL.canParse(named) && isLoopback(new URL(named).hostname.replace(/^\[|\]$/g, '')) }
  const recorded = await findService(dataDir)
  if (recorded) return { url: recorded.url, isHere: true }
  if (port === 0)
    throw new UsageError(
      'CC_EXECUTOR_PORT is 0, and no service is recorded in the data folder: give its address with --url ' +
        'or CC_EXECUTOR_URL',
    )
  return { url: `http://127.0.0.1:${port}`, isHere: true }
}

/**
 * A client of the service that the user means; whoever opens it closes it. @throws UsageError, ConfigError, ClientError
 */
async function connect(given: string | undefined): Promise<Client> {
  const config = readConfig()
  const { url, isHere } = await findAddress(config, given)
  return openClient({ url, token: config.token ?? (isHere ? await readLocalToken(config) : undefined) })
}

/** Opens, does, closes. */
export async function withService<Result>(
  given: string | undefined,
  act: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = await connect(given)
  try {
    return await act(client)
  } finally {
    client.close()
  }
}
