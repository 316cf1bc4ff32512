import type { Request } from 'express'
import { RUN_NAME } from '../../../shared/demos/comparison'
import { HttpError } from '../../httpError'
import { integerParam, param } from '../../params'
import type { Meter } from './meter'
import { Run, type RunSettings } from './run'

/** The runs of all pages, by the names that the pages gave them. */
export class Runs {
  readonly #runs = new Map<string, Run>()
  readonly #meter: Meter
  readonly #idle: number
  readonly #max: number

  /** `idle`: milliseconds that a run lasts after its last use; `max`: runs at once. */
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

  /** The run that the request names, begun if there is none. @throws HttpError 400, 503 */
  start(req: Request, settings: RunSettings): Run {
    const name = runParam(req)
    const running = this.#runs.get(name)
    if (running) {
      running.touch()
      running.change(settings)
      return running
    }
    if (this.#runs.size >= this.#max)
      throw new HttpError(503, 'capacity-runs', `${this.#max} comparisons are running: try again later.`, {
        'Retry-After': '30',
      })
    const run = new Run(this.#meter, settings, this.#idle)
    this.#runs.set(name, run)
    run.signal.addEventListener('abort', () => this.#runs.delete(name))
    return run
  }

  /** Ends all of them. */
  end(): void {
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
