import type { Request } from 'express'
import { RUN_NAME } from '../../../shared/demos/comparison'
import { HttpError } from '../../httpError'
import { integerParam, param } from '../../params'
import { clientKey } from '../../sse/clientKey'
import type { Meter } from './meter'
import { Run, type RunSettings } from './run'

/** Concurrent runs per client: one for each of its tabs. */
const MAX_PER_CLIENT = 10

/** The runs of all pages, by the names that the pages chose. */
export class Runs {
  readonly #runs = new Map<string, Run>()
  readonly #clients = new WeakMap<Run, string>()
  readonly #meter: Meter
  readonly #idle: number
  readonly #max: number
  #ended = false

  /** `idle`: milliseconds until a run ends after its last use; `max`: concurrent runs. */
  constructor(meter: Meter, idle: number, max: number) {
    this.#meter = meter
    this.#idle = idle
    this.#max = max
  }

  get size(): number {
    return this.#runs.size
  }

  /** The run that the request names. @throws HttpError 400, 404 */
  of(req: Request): Run {
    const run = this.#runs.get(runParam(req))
    if (!run) throw new HttpError(404, 'no-run', 'There is no such run, or no longer: start one first.')
    run.touch()
    return run
  }

  /** The run that the request names, started if there is none. @throws HttpError 400, 503 */
  start(req: Request, settings: RunSettings): Run {
    const name = runParam(req)
    const running = this.#runs.get(name)
    if (running) {
      running.touch()
      running.change(settings)
      return running
    }
    const client = clientKey(req)
    this.#findRoom(client)
    const run = new Run(this.#meter, settings, this.#idle)
    this.#runs.set(name, run)
    this.#clients.set(run, client)
    run.signal.addEventListener('abort', () => this.#runs.delete(name))
    return run
  }

  #findRoom(client: string): void {
    const full = (code: string, message: string): HttpError =>
      new HttpError(503, code, message, { 'Retry-After': '30' })
    if (this.#ended) throw full('capacity-shutdown', 'The server is shutting down: try again in a moment.')
    if (this.#runs.size >= this.#max)
      throw full('capacity-runs', `${this.#max} comparisons are running: try again later.`)
    const own = [...this.#runs.values()].filter((run) => this.#clients.get(run) === client)
    if (own.length >= MAX_PER_CLIENT)
      throw full('capacity-address', `${own.length} comparisons are running from your address: stop one, or wait.`)
  }

  /** Ends all runs, and starts no more. */
  end(): void {
    this.#ended = true
    for (const run of [...this.#runs.values()]) run.end()
  }
}

function runParam(req: Request): string {
  const name = param(req, 'run')
  if (name === null || !RUN_NAME.test(name))
    throw new HttpError(400, 'run', 'run must have 20 to 64 of the characters A-Z, a-z, 0-9, "_" and "-".')
  return name
}

/** The number of the last event that the client has; of one that has none, that of the newest but `behind`. @throws HttpError 400 */
export function afterParam(req: Request, run: Run, behind: number): number {
  return integerParam(req, 'after', Math.max(0, run.newest - behind), 0, Number.MAX_SAFE_INTEGER)
}
