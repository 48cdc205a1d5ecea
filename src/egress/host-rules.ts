import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

const USUAL_PORTS = new Set([80, 443])

interface HostRule {
  readonly name: string
  readonly withSubdomains: boolean
  readonly port: number | undefined
}

const NOT_PUBLIC = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  NOT_PUBLIC.addSubnet(network, bits, 'ipv4')
for (const [network, bits] of [
  ['::', 127],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  NOT_PUBLIC.addSubnet(network, bits, 'ipv6')

/** Of this machine itself: its services listen there as well. */
const isOwn = (address: string): boolean =>
  Object.values(networkInterfaces()).some((list) => list?.some((entry) => entry.address === address))

function isPublic(address: string): boolean {
  return !NOT_PUBLIC.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4') && !isOwn(address)
}

function toRule(entry: string): HostRule {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
  const bare = host.replace(/^\[|\]$/g, '')
  return {
    name: bare.replace(/^\*\./, ''),
    withSubdomains: bare.startsWith('*.'),
    port: port === undefined ? undefined : Number(port),
  }
}

function matches({ name, withSubdomains, port: only }: HostRule, host: string, port: number): boolean {
  const isNamed = withSubdomains ? host.endsWith(`.${name}`) : host === name
  return isNamed && (only === undefined ? USUAL_PORTS.has(port) : only === port)
}

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
      // A name with its last dot is the same name.
      const name = host
        .toLowerCase()
        .replace(/^\[|\]$/g, '')
        .replace(/\.$/, '')
      if (!isOpened(name, port) || !ofRun.some((rule) => matches(rule, name, port))) return undefined
      const addresses =
        isIP(name) === 0 ? (await lookup(name, { all: true }).catch(() => [])).map(({ address }) => address) : [name]
      if (addresses.length === 0) return undefined
      // One that leads inside makes the name suspect as a whole: it may answer otherwise the next time.
      return addresses.every((address) => isPublic(address) || isOpened(address, port)) ? addresses[0] : undefined
    },
  }
}
