import { isIPv6 } from 'node:net'

/** What says from where a request comes: Express sets `ip` to the client behind trusted proxies. */
export interface Addressed {
  ip?: string | undefined
  socket: { remoteAddress?: string | undefined }
}

/**
 * Whose request this is, for every limit by client: the IPv4 address, or the /64 network of an IPv6 address.
 *
 * A /64 is the least that anyone is given, with 2^64 addresses to choose from. Larger networks, such as a home's /56, are not taken
 * together: on mobile networks their /64s belong to strangers.
 */
export function clientKey(req: Addressed): string {
  const address = (req.ip ?? req.socket.remoteAddress ?? '').replace(/%.*$/, '')
  if (!isIPv6(address)) return address
  const groups = expanded(address)
  // On a socket for both families, IPv4 clients appear as ::ffff:192.0.2.1.
  if (groups.slice(0, 6).join() === '0,0,0,0,0,65535')
    return groups
      .slice(6)
      .flatMap((n) => [n >> 8, n & 255])
      .join('.')
  return `${groups
    .slice(0, 4)
    .map((n) => n.toString(16))
    .join(':')}::/64`
}

/** The eight groups of an IPv6 address, however it is written. */
function expanded(address: string): number[] {
  // As a URL has it: in lower case, and without an IPv4 address at its end.
  const { hostname } = new URL(`http://[${address}]`)
  const [head = [], tail = []] = hostname.split('::').map((half) => half.match(/[0-9a-f]+/g) ?? [])
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  return [...head, ...zeros, ...tail].map((group) => parseInt(group, 16))
}
