import { Router, type RequestHandler } from 'express'
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { Connections } from './connections'
import type { HttpError } from './httpError'
import type { Hub } from './sse/hub'
import type { Streams } from './sse/streams'

/** Read only on scrape, so counting costs events nothing. */
export interface MetricSources {
  streams: Pick<Streams, 'size'>
  hub: Pick<Hub, 'size' | 'counts'>
  /** Stored channels and bytes. */
  log?: { readonly size: number; readonly bytes: number } | undefined
  connections?: Pick<Connections, 'size' | 'bytesWritten'> | undefined
}

/** The figures of this process for Prometheus. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #refused: Counter<'status' | 'code'>
  #hasDefaults = false

  constructor({ streams, hub, log, connections }: MetricSources) {
    this.#refused = new Counter({
      name: 'sse_requests_refused_total',
      help: 'Requests that were answered with an error, by status and by the code in its body.',
      labelNames: ['status', 'code'],
      registers: [this.#registry],
    })
    this.#gauge('sse_streams_open', 'Streams that are open.', () => streams.size)
    this.#gauge('sse_channels_subscribed', 'Channels that someone here is subscribed to.', () => hub.size)
    this.#counter('sse_events_published_total', 'Events published to channels.', () => hub.counts.published)
    this.#counter('sse_publish_failures_total', 'Events that could not be published.', () => hub.counts.publishFailures)
    this.#counter('sse_log_failures_total', 'Failures of the event log that are retried.', () => hub.counts.logFailures)
    if (log) {
      this.#gauge('sse_log_channels', 'Channels that the event log keeps.', () => log.size)
      this.#gauge('sse_log_bytes', 'Bytes that the event log keeps.', () => log.bytes)
    }
    if (connections) {
      this.#gauge('sse_connections_open', 'Connections that are open.', () => connections.size)
      this.#counter('sse_bytes_written_total', 'Bytes written to connections.', () => connections.bytesWritten)
    }
  }

  /** Counts an answered error. */
  refused({ status, code }: HttpError): void {
    this.#refused.inc({ status, code })
  }

  /** `GET /metrics`, for those whom `guards` let in. */
  router(guards: readonly RequestHandler[]): Router {
    return Router().get('/metrics', ...guards, async (_req, res) => {
      // Only from the first scrape on: they observe the event loop and the garbage collector.
      if (!this.#hasDefaults) collectDefaultMetrics({ register: this.#registry })
      this.#hasDefaults = true
      const text = await this.#registry.metrics()
      res.set('Cache-Control', 'no-store').type(this.#registry.contentType).send(text)
    })
  }

  #gauge(name: string, help: string, value: () => number): void {
    const collect = (): void => gauge.set(value())
    const gauge = new Gauge({ name, help, registers: [this.#registry], collect })
  }

  #counter(name: string, help: string, value: () => number): void {
    const collect = (): void => {
      counter.reset()
      counter.inc(value())
    }
    const counter = new Counter({ name, help, registers: [this.#registry], collect })
  }
}
