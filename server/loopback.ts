import { isIPv4 } from 'node:net'

/** Whether a name or address, as in `HOST` or in a `Host` header without its port, can only be this machine. */
export function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || (isIPv4(name) && name.startsWith('127.'))
}
