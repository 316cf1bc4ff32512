import { createClient } from '@redis/client'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { channelPaths, greeting } from '../../shared/demos/channel'
import { startProcess, type ServerProcess } from '../testingProcess'
import { hasRedis, startRedis, type RedisProcess } from '../testingRedis'

/** How many faults there are; more of them with `FAULTS` in the environment. */
const FAULTS = Number(process.env['FAULTS'] ?? 15)
const NODES = 3
const CHANNELS = ['a', 'b']
const SUBSCRIBERS = 4
const PUBLISHERS = 3

const random = (n: number): number => Math.floor(Math.random() * n)
const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T

/** A server that is killed and started again, at another port each time. */
class Node {
  readonly #env: NodeJS.ProcessEnv
  #process: ServerProcess | undefined
  /** Null while it does not run. */
  url: string | null = null
  started: Promise<void> = Promise.resolve()

  constructor(redisUrl: string) {
    this.#env = {
      REDIS_URL: redisUrl,
      CHANNEL_MAX_EVENTS: '1000000',
      CHANNEL_MAX_BYTES: String(2 ** 30),
      PUSHES_PER_MINUTE: '1000000',
      MAX_STREAMS_PER_ADDRESS: '1000',
    }
  }

  start(): Promise<void> {
    return (this.started = this.#start())
  }

  async #start(): Promise<void> {
    this.#process = startProcess(this.#env, [process.execPath, '--import', 'tsx', 'server/testingNode.ts'])
    this.url = `http://127.0.0.1:${await this.#process.listening()}`
  }

  async kill(): Promise<void> {
    this.url = null
    this.#process?.signal('SIGKILL')
    await this.#process?.exit
  }
}

class Cluster {
  readonly nodes: Node[]
  constructor(redisUrl: string) {
    this.nodes = Array.from({ length: NODES }, () => new Node(redisUrl))
  }

  /** The address of any node that runs, or of one that does not. */
  get url(): string {
    return pick(['http://127.0.0.1:1', ...this.nodes.flatMap(({ url }) => url ?? [])])
  }
}

interface Received {
  position: string
  data: string
}

/** Listens to a channel, at another node each time, and resumes from the id that it has. */
class Subscriber {
  readonly channel: string
  readonly received: Received[] = []
  readonly others: string[] = []
  connections = 0
  #lastEventId = ''
  readonly #cluster: Cluster
  readonly #stop = new AbortController()
  readonly done: Promise<void>

  constructor(cluster: Cluster, channel: string) {
    this.#cluster = cluster
    this.channel = channel
    this.done = this.#run()
  }

  stop(): Promise<void> {
    this.#stop.abort()
    return this.done
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // As a browser does: whatever ends the stream, it comes back.
      await this.#listen().catch(() => undefined)
      await sleep(random(50))
    }
  }

  async #listen(): Promise<void> {
    // Now and then a client goes by itself.
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(200 + random(3_000))])
    const response = await fetch(`${this.#cluster.url}${channelPaths.subscribe}?id=${this.channel}`, {
      signal,
      headers: { 'Last-Event-ID': this.#lastEventId },
    })
    if (response.status !== 200 || !response.body) return
    this.connections += 1
    const parser = createParser({ onEvent: (event) => this.#take(event) })
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) parser.feed(text)
  }

  #take({ id, event, data }: EventSourceMessage): void {
    if (id !== undefined) this.#lastEventId = id
    if (event !== undefined) this.others.push(`${event} ${data}`)
    else if (data !== greeting) this.received.push({ position: id ?? '', data })
  }
}

/** Publishes, each content once, and remembers what was acknowledged. */
class Publisher {
  readonly acknowledged: (Received & { channel: string })[] = []
  readonly refused = new Map<number, number>()
  isRunning = true
  readonly done: Promise<void>

  constructor(
    readonly cluster: Cluster,
    readonly name: string,
  ) {
    this.done = this.#run()
  }

  async #run(): Promise<void> {
    for (let n = 1; this.isRunning; n++) {
      await this.publish(pick(CHANNELS), `${this.name}:${n}`).catch(() => undefined)
      await sleep(random(10))
    }
  }

  async publish(channel: string, data: string): Promise<boolean> {
    const response = await fetch(`${this.cluster.url}${channelPaths.push}`, {
      method: 'POST',
      headers: { Accept: 'application/json' },
      body: new URLSearchParams({ id: channel, content: data }),
      signal: AbortSignal.timeout(20_000),
    })
    if (response.status !== 200) {
      this.refused.set(response.status, (this.refused.get(response.status) ?? 0) + 1)
      await sleep(50)
      return false
    }
    const { position } = (await response.json()) as { position: string }
    this.acknowledged.push({ channel, position, data })
    return true
  }
}

async function causeFault(cluster: Cluster, redis: RedisProcess): Promise<string> {
  switch (random(10)) {
    case 0:
    case 1: {
      const node = pick(cluster.nodes)
      await node.started
      await node.kill()
      void node.start()
      return 'node killed'
    }
    case 2:
      await redis.kill()
      await sleep(random(300))
      await redis.restart()
      return 'Redis killed'
    case 3:
      redis.signal('SIGSTOP')
      await sleep(random(1_800))
      redis.signal('SIGCONT')
      return 'Redis hung'
    default: {
      const client = createClient({ url: redis.url })
      client.on('error', () => undefined)
      await client.connect()
      await client.sendCommand(['CLIENT', 'KILL', 'TYPE', pick(['normal', 'pubsub']), 'SKIPME', 'yes'])
      client.destroy()
      return 'connections cut'
    }
  }
}

it.runIf(hasRedis)(
  'nothing acknowledged is lost, doubled or reordered while nodes, connections and Redis die',
  async () => {
    const redis = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
    onTestFinished(() => redis.stop())
    const cluster = new Cluster(redis.url)
    await Promise.all(cluster.nodes.map((node) => node.start()))
    const subscribers = CHANNELS.flatMap((channel) =>
      Array.from({ length: SUBSCRIBERS }, () => new Subscriber(cluster, channel)),
    )
    const publishers = Array.from({ length: PUBLISHERS }, (_, n) => new Publisher(cluster, `p${n}`))

    const faults = new Map<string, number>()
    for (let n = 0; n < FAULTS; n++) {
      await sleep(random(400))
      const fault = await causeFault(cluster, redis)
      faults.set(fault, (faults.get(fault) ?? 0) + 1)
    }

    await Promise.all(cluster.nodes.map(({ started }) => started))
    for (const publisher of publishers) publisher.isRunning = false
    await Promise.all(publishers.map(({ done }) => done))
    const [publisher] = publishers as [Publisher]
    for (const channel of CHANNELS)
      while (!(await publisher.publish(channel, 'last').catch(() => false))) await sleep(100)
    await expect
      .poll(() => subscribers.filter(({ received }) => received.at(-1)?.data !== 'last').length, { timeout: 60_000 })
      .toBe(0)
    await Promise.all(subscribers.map((subscriber) => subscriber.stop()))

    let events = 0
    for (const channel of CHANNELS) {
      const [first, ...more] = subscribers.filter((subscriber) => subscriber.channel === channel)
      const received = first?.received ?? []
      events += received.length
      // Each restart of Redis begins an epoch.
      const epochs = new Map<string, number[]>()
      let newest = ''
      for (const { position } of received) {
        const [epoch = '', offset] = position.split(':')
        if (epoch !== newest) expect(epochs.has(epoch), 'an epoch that was left').toBe(false)
        newest = epoch
        epochs.set(epoch, [...(epochs.get(epoch) ?? []), Number(offset)])
      }
      for (const offsets of epochs.values())
        expect(offsets, 'in order, none missing, none twice').toEqual(offsets.map((_, n) => n + 1))
      expect(new Set(received.map(({ data }) => data)).size, 'each content once, but for the last').toBe(
        received.length - received.filter(({ data }) => data === 'last').length + 1,
      )
      for (const other of more) expect(other.received).toEqual(received)
      const byPosition = new Map(received.map(({ position, data }) => [position, data]))
      for (const { acknowledged } of publishers) {
        const mine = acknowledged.filter((event) => event.channel === channel)
        for (const { position, data } of mine) expect(byPosition.get(position)).toBe(data)
        const order = mine.map(({ position }) => received.findIndex((event) => event.position === position))
        expect(order, 'in the order in which they were published').toEqual([...order].sort((a, b) => a - b))
      }
    }
    expect(subscribers.flatMap(({ others }) => others)).toEqual([])

    const acknowledged = publishers.reduce((sum, { acknowledged: { length } }) => sum + length, 0)
    const connections = subscribers.reduce((sum, subscriber) => sum + subscriber.connections, 0)
    const refused = publishers.reduce((sum, one) => sum + (one.refused.get(503) ?? 0), 0)
    const counts = [...faults].map(([name, count]) => `${count} ${name}`)
    console.log(
      `${FAULTS} faults (${counts.join(', ')}): ${events} events, ${acknowledged} acknowledged, ${connections} connections, ${refused} times 503`,
    )
  },
  120_000 + FAULTS * 5_000,
)
