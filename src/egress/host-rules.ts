import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { isPublic } from './public-addresses.js'

const USUAL_PORTS = new Set([80, 443])

export interface HostRule {
  readonly name: string
  readonly withSubdomains: boolean
  readonly port: number | undefined
}

/** An entry of the operator's: `example.com`, `*.example.com`, `host:8443`; without a port 80 and 443. */
export function toRule(entry: string): HostRule {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
  const bare = host.replace(/^\[|\]$/g, '')
  return {
    name: bare.replace(/^\*\./, ''),
    withSubdomains: bare.startsWith('*.'),
    port: port === undefined ? undefined : Number(port),
  }
}

export function matches({ name, withSubdomains, port: only }: HostRule, host: string, port: number): boolean {
  const isNamed = withSubdomains ? host.endsWith(`.${name}`) : host === name
  return isNamed && (only === undefined ? USUAL_PORTS.has(port) : only === port)
}

/** A name with its last dot is the same name. */
export const toName = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')

export interface HostRules {
  /** The address to connect to; undefined: refused. What was checked is what is connected to. */
  resolve(host: string, port: number): Promise<string | undefined>
}

/** A host must be named by the run and admitted by the operator. */
export function hostRules(wanted: readonly string[], admitted: readonly string[]): HostRules {
  const [ofRun, ofOperator] = [wanted.map(toRule), admitted.map(toRule)]
  const isOpened = (host: string, port: number): boolean => ofOperator.some((rule) => matches(rule, host, port))
  return {
    async resolve(host, port) {
      const name = toName(host)
      if (!isOpened(name, port) || !ofRun.some((rule) => matches(rule, name, port))) return undefined
      const addresses =
        isIP(name) === 0 ? (await lookup(name, { all: true }).catch(() => [])).map(({ address }) => address) : [name]
      if (addresses.length === 0) return undefined
      // One that leads inside makes the name suspect as a whole: it may answer otherwise the next time.
      return addresses.every((address) => isPublic(address) || isOpened(address, port)) ? addresses[0] : undefined
    },
  }
}
