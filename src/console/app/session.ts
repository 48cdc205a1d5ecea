import { createContext, useContext } from 'react'
import { openClient, type Client } from 'cc-executor/client'
import { go, parsePlace, toHash } from './router.js'

const KEY = 'cc-executor.token'

/** The service that this page came from: the folder above its own. */
export const SERVICE_URL = new URL('../', location.href.split('#', 1)[0]).href.replace(/\/+$/, '')

/** A link may bring a token behind `#`; it is kept for the tab, and taken out of the address at once. */
export function takeToken(): string | undefined {
  const { path, query } = parsePlace(location.hash)
  const bare = /^#token=(.+)$/.exec(location.hash)?.[1]
  const token = bare === undefined ? query.get('token') : decodeURIComponent(bare)
  if (token !== null && token !== '') {
    sessionStorage.setItem(KEY, token)
    query.delete('token')
    go(toHash(bare === undefined ? path : [], Object.fromEntries(query)), { replace: true })
  }
  return sessionStorage.getItem(KEY) ?? undefined
}

export const keepToken = (token: string): void => sessionStorage.setItem(KEY, token)
export const forgetToken = (): void => sessionStorage.removeItem(KEY)

export const connect = (token: string | undefined): Client => openClient({ url: SERVICE_URL, token })

export interface Session {
  readonly client: Client
  /** Absent: the service runs open. */
  readonly token: string | undefined
  /** The token is not accepted any more, or somebody signs out. */
  readonly leave: () => void
}

export const SessionContext = createContext<Session | undefined>(undefined)

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (!session) throw new Error('there is no session above this component')
  return session
}

export const useClient = (): Client => useSession().client
