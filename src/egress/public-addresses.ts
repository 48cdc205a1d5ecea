import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

/** IANA's special-purpose registry of IPv4, multicast and what is reserved, and Azure's host, which serves metadata. */
const NOT_PUBLIC_4 = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  NOT_PUBLIC_4.addSubnet(network, bits, 'ipv4')

/** All that is routed on the internet: what maps, translates or embeds an IPv4 address otherwise lies outside. */
const GLOBAL_6 = new BlockList()
GLOBAL_6.addSubnet('2000::', 3, 'ipv6')
/** Protocols of IETF (Teredo, ORCHID), documentation and 6to4. */
const NOT_PUBLIC_6 = new BlockList()
for (const [network, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  NOT_PUBLIC_6.addSubnet(network, bits, 'ipv6')

/** Of this machine itself: its services listen there as well. */
const isOwn = (address: string): boolean =>
  Object.values(networkInterfaces()).some((list) => list?.some((entry) => entry.address === address))

/** Whether an address is one of the internet: not private, loopback, link-local, of metadata, or this machine's own. */
export function isPublic(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !NOT_PUBLIC_4.check(address, 'ipv4') && !isOwn(address)
    case 6:
      return GLOBAL_6.check(address, 'ipv6') && !NOT_PUBLIC_6.check(address, 'ipv6') && !isOwn(address)
    default:
      return false
  }
}
