import { isIPv6 } from 'node:net'

/** A request with its address: Express sets `ip` to the client behind trusted proxies. */
export interface Addressed {
  ip?: string | undefined
  socket: { remoteAddress?: string | undefined }
}

/**
 * Identifies the client of a request, for every limit per client: by its IPv4 address, or by the /64 network of its IPv6 address.
 *
 * A /64 is the smallest network that anyone gets, with 2^64 addresses to choose from. Larger networks, such as a home's /56, are not
 * grouped: on mobile networks their /64s belong to strangers.
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

/** The eight groups of an IPv6 address in any notation. */
function expanded(address: string): number[] {
  // The URL parser normalizes it: lower case, and no IPv4 address at its end.
  const { hostname } = new URL(`http://[${address}]`)
  const [head = [], tail = []] = hostname.split('::').map((half) => half.match(/[0-9a-f]+/g) ?? [])
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  return [...head, ...zeros, ...tail].map((group) => parseInt(group, 16))
}
