import { comparisonPaths, parseComparisonEvent, type ComparisonEvent } from '../../../shared/demos/comparison'

/** Listens to a WebSocket and opens another when it closes. Events in between are missed: resuming would take a protocol of its own. */
export function webSocket(
  run: string,
  receive: (event: ComparisonEvent) => void,
  connected: (isOpen: boolean) => void,
  signal: AbortSignal,
): void {
  let socket: WebSocket
  let timer: ReturnType<typeof setTimeout> | undefined
  let failures = 0

  function connect(): void {
    socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}${comparisonPaths.webSocket}?run=${run}`)
    socket.onopen = () => {
      failures = 0
      connected(true)
    }
    socket.onmessage = ({ data }) => receive(parseComparisonEvent(String(data)))
    socket.onclose = () => {
      connected(false)
      if (!signal.aborted) timer = setTimeout(connect, Math.min(1_000 * 2 ** failures++, 30_000))
    }
  }

  signal.addEventListener('abort', () => {
    clearTimeout(timer)
    socket.close()
  })
  connect()
}
