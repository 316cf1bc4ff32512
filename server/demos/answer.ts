import { randomUUID } from 'node:crypto'
import { Router, type Request, type RequestHandler, type Response } from 'express'
import { ANSWER_ID, answerPathOf, answersPath, MAX_QUESTION } from '../../shared/demos/answer'
import { HttpError } from '../httpError'
import { lastEventId, param, textParam } from '../params'
import { clientKey } from '../sse/clientKey'
import type { Hub } from '../sse/hub'
import type { Streams } from '../sse/streams'
import type { Database } from '../store/database'
import { Answers, type AnswerLimits } from './answer/answers'
import { END, sendEnded } from './answer/ending'
import { openAiSpeaker, type OpenAiOptions } from './answer/openAi'
import { builtInSpeaker } from './answer/speaker'

export interface AnswerOptions extends AnswerLimits {
  /** Whom to ask; null for the built-in speaker. @default null */
  openAi?: OpenAiOptions | null
  /** Milliseconds between two words of the built-in speaker. @default 35 */
  delay?: number
}

/** Answers that continue after a cut or a reload, are the same on every screen, and stop for all of them. */
export function answer(
  streams: Streams,
  hub: Hub,
  guard: RequestHandler,
  database: Database,
  { openAi = null, delay, ...limits }: AnswerOptions = {},
): Router {
  const speaker = openAi ? openAiSpeaker(openAi) : builtInSpeaker(delay)
  const answers = new Answers(hub, database, speaker, limits)

  async function stream(req: Request, res: Response, id: string): Promise<void> {
    const after = lastEventId(req)
    const outcome = await answers.subscribe(id, after, () => streams.open(req, res))
    if (outcome === 'open') return
    const ended = await answers.find(id)
    if (!ended) throw noAnswer()
    if (outcome === 'finished' || after === END) res.status(204).end()
    else sendEnded(streams.open(req, res), ended)
  }

  return Router()
    .post(answersPath, guard, async (req, res) => {
      const question = textParam(req, 'question', MAX_QUESTION)
      const id = param(req, 'id') ?? randomUUID()
      if (!ANSWER_ID.test(id))
        throw new HttpError(400, 'id', 'id must have 16 to 64 of the characters A-Z, a-z, 0-9, "_" and "-".')
      const { state } = await answers.ask(id, question, clientKey(req))
      // A response to the question itself: simple, and gone with its connection.
      if (req.accepts(['json', 'text/event-stream']) === 'text/event-stream') return stream(req, res, id)
      const url = answerPathOf(id)
      res.status(201).location(url).json({ id, url, state })
    })
    .get(`${answersPath}/:id`, (req, res) => stream(req, res, req.params.id))
    .delete(`${answersPath}/:id`, guard, async (req: Request<{ id: string }>, res) => {
      const stopped = await answers.stop(req.params.id)
      if (!stopped) throw noAnswer()
      res.json({ state: stopped.state })
    })
}

function noAnswer(): HttpError {
  return new HttpError(404, 'no-answer', 'There is no such answer, or it is no longer kept: ask again.')
}
