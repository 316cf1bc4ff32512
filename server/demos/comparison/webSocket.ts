import { Router } from 'express'
import { WebSocketServer, type WebSocket } from 'ws'
import { comparisonPaths } from '../../../shared/demos/comparison'
import { isHandshake } from '../../handshake'
import { HttpError } from '../../httpError'
import { sameOrigin } from '../../sameOrigin'
import type { Streams } from '../../sse/streams'
import type { Run } from './run'
import type { Runs } from './runs'

/** Bytes that may wait for a slow client, as for an emitter. */
const MAX_UNSENT_BYTES = 2 ** 20

/** Milliseconds that a client may take for the closing handshake. */
const GOODBYE = 1_000

/** Events as text messages, from now on: a WebSocket has no ids, so missed events stay missed. */
export function webSocket(runs: Runs, streams: Streams, heartbeat: number): Router {
  // The page sends nothing.
  const server = new WebSocketServer({ noServer: true, maxPayload: 1_024, perMessageDeflate: false })
  // Neither the same-origin policy nor CORS keeps another site's page from opening a WebSocket with the reader's cookies.
  return Router().get(comparisonPaths.webSocket, sameOrigin, (req, res) => {
    const run = runs.of(req)
    if (!isHandshake(req))
      throw new HttpError(426, 'upgrade', 'There is a WebSocket here: connect with ws: or wss:.', {
        Upgrade: 'websocket',
      })
    streams.admit(req, res)
    run.serve('webSocket', req, res)
    server.handleUpgrade(req, req.socket, Buffer.alloc(0), (socket) => serve(socket, run, heartbeat))
  })
}

function serve(socket: WebSocket, run: Run, heartbeat: number): void {
  const send = (): void => {
    if (run.signal.aborted) {
      socket.close(1001, 'The run has ended.')
      setTimeout(() => socket.terminate(), GOODBYE).unref()
      return
    }
    const newest = run.after(run.newest - 1)
    for (const { text } of newest) socket.send(text)
    run.sent('webSocket', newest)
    if (socket.bufferedAmount > MAX_UNSENT_BYTES) socket.terminate()
  }
  const stop = run.listen(send)

  // A connection can vanish silently. Browsers answer pings automatically.
  let answered = true
  const beat = setInterval(() => {
    if (!answered) socket.terminate()
    answered = false
    socket.ping()
  }, heartbeat).unref()
  socket.on('pong', () => (answered = true))
  // An error is followed by `close`.
  socket.on('error', () => undefined)
  socket.on('close', () => {
    stop()
    clearInterval(beat)
  })
}
