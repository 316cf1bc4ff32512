import { describe, expect, it } from 'vitest'
import { clientKey } from './clientKey'

const of = (ip: string): string => clientKey({ ip, socket: {} })

describe('the key of a client', () => {
  it('is the IPv4 address itself, even if it is written as IPv6', () => {
    for (const ip of ['192.0.2.1', '::ffff:192.0.2.1', '::ffff:c000:201', '0:0:0:0:0:FFFF:192.0.2.1'])
      expect(of(ip)).toBe('192.0.2.1')
    expect(of('192.0.2.2')).not.toBe(of('192.0.2.1'))
  })

  it('is the same for all addresses of an IPv6 /64, in any notation', () => {
    const same = [
      '2001:db8:0:1::1',
      '2001:DB8::1:0:0:0:2',
      '2001:0db8:0000:0001:ffff:ffff:ffff:ffff',
      '2001:db8:0:1::%eth0',
    ]
    for (const ip of same) expect(of(ip)).toBe('2001:db8:0:1::/64')
  })

  it.each(['2001:db8:0:2::1', '2001:db8:1:1::1', '::1', 'fe80::1', '64:ff9b::192.0.2.1'])(
    'is another for an address of another network, %s',
    (ip) => {
      expect(of(ip)).not.toBe(of('2001:db8:0:1::1'))
      expect(of(ip)).toMatch(/^[0-9a-f]+(:[0-9a-f]+){3}::\/64$/)
    },
  )

  it('comes from the socket if nothing else names an address, and is the same for all clients that have left', () => {
    expect(clientKey({ socket: { remoteAddress: '::ffff:127.0.0.1' } })).toBe('127.0.0.1')
    expect(clientKey({ socket: {} })).toBe('')
  })
})
