/** The load: `clients.js <port> <path> <count>`. Reports to its parent when all clients are connected, how many marks arrived, and how late. */

import { connect } from 'node:net'
import { argv, hrtime } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'

const [, , port, path, count] = argv
let connected = 0
let marks = 0
/** Latency of the marks, in milliseconds. */
let latencies = []

function open() {
  const socket = connect(Number(port), '127.0.0.1')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`)
  let isOpen = false
  socket.on('data', (bytes) => {
    if (!isOpen) {
      isOpen = true
      if (++connected === Number(count)) process.send({ connected })
    }
    for (let at = bytes.indexOf('!'); at !== -1; at = bytes.indexOf('!', at + 1)) {
      marks += 1
      const sent = BigInt(bytes.latin1Slice(at - 63, bytes.indexOf(' ', at - 63)))
      latencies.push(Number(hrtime.bigint() - sent) / 1e6)
    }
  })
  // Of ten thousand, one may be reset before it is accepted.
  socket.on('error', () => (isOpen ? undefined : open()))
}

for (let n = 0; n < Number(count); n++) {
  open()
  // In batches as large as a listening socket's queue.
  if (n % 200 === 199) await sleep(20)
}

process.on('message', async (expected) => {
  while (marks < expected) await sleep(1)
  latencies.sort((a, b) => a - b)
  process.send({ marks, p50: latencies[latencies.length >> 1], p99: latencies[Math.floor(latencies.length * 0.99)] })
  marks = 0
  latencies = []
})
process.on('disconnect', () => process.exit())
