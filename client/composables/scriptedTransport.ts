/** For tests: a transport whose connections the test controls. */
import type { Transport, TransportRequest, TransportSink } from './useEventSource'

export interface ScriptedConnection {
  readonly request: TransportRequest
  readonly sink: TransportSink
  /** The names passed to `listen`, in order. */
  readonly names: string[]
  closed: boolean
}

export class ScriptedTransport {
  readonly connections: ScriptedConnection[] = []
  /** Called for each connection once it is in `connections`. */
  onConnect: (() => void) | undefined

  readonly transport: Transport = (request, sink) => {
    const connection: ScriptedConnection = { request, sink, names: [], closed: false }
    this.connections.push(connection)
    this.onConnect?.()
    return {
      listen: (name) => connection.names.push(name),
      close: () => {
        connection.closed = true
      },
    }
  }

  get newest(): ScriptedConnection {
    const connection = this.connections.at(-1)
    if (!connection) throw new Error('No connection was made.')
    return connection
  }

  get live(): ScriptedConnection[] {
    return this.connections.filter(({ closed }) => !closed)
  }

  say(data: string, id = '', event = 'message'): void {
    this.newest.sink.message({ event, data, id })
  }

  refuse(): void {
    this.newest.sink.fail({ kind: 'refused', message: 'Refused.' })
  }
}
