import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  answerPathOf,
  answersPath,
  MAX_QUESTION,
  reduceAnswer,
  type Answer,
  type AnswerEvent,
} from '../../shared/demos/answer'
import { EventLogError } from '../sse/eventLog'
import { Database } from '../store/database'
import { serve, type Client } from '../testing'
import { errorOf, eventsIn, startApp, type Headers, type Reply, type TestApp } from '../testingApp'
import type { AnswerOptions } from './answer'
import { wordsOf } from './answer/speaker'

vi.setConfig({ testTimeout: 30_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 5 })

const KEY = 'sk-very-secret'
const ID = 'an-id-of-the-page-1'

/** A model's server as a test wants it, over real HTTP: it speaks OpenAI's protocol, or does not. */
class Upstream {
  readonly asked: { question: string; headers: IncomingMessage['headers']; res: ServerResponse }[] = []
  port = 0

  static async start(behave: (res: ServerResponse, question: string) => unknown = () => undefined): Promise<Upstream> {
    const upstream = new Upstream()
    upstream.port = await serve(async (req, res) => {
      expect(`${req.method} ${req.url}`).toBe('POST /v1/chat/completions')
      const { model, stream, messages } = (await json(req)) as Record<string, unknown>
      expect({ model, stream }).toEqual({ model: 'tiny', stream: true })
      const question = (messages as { content: string }[])[0]?.content ?? ''
      upstream.asked.push({ question, headers: req.headers, res })
      await behave(res, question)
    })
    return upstream
  }

  get options(): NonNullable<AnswerOptions['openAi']> {
    return { baseUrl: `http://127.0.0.1:${this.port}/v1/`, apiKey: KEY, model: 'tiny' }
  }

  /** The response to the newest question, once there is one. */
  async response(): Promise<ServerResponse> {
    const newest = await vi.waitUntil(() => this.asked.at(-1), { timeout: 20_000, interval: 5 })
    return newest.res
  }
}

const begin = (res: ServerResponse): ServerResponse => res.writeHead(200, { 'Content-Type': 'text/event-stream' })
const say = (res: ServerResponse, content: string): void => {
  res.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`)
}
const done = (res: ServerResponse): void => {
  res.write(`data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: 'stop' }] })}\n\n`)
  res.end('data: [DONE]\n\n')
}

interface AnswerApp extends TestApp {
  ask: TestApp['ask']
  question: (text?: string, id?: string) => Promise<Reply>
  stream: (id?: string, headers?: Headers) => Client
  stop: (id?: string) => Promise<Reply>
}

async function start(answer: AnswerOptions = { delay: 0 }, database?: Database): Promise<AnswerApp> {
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const app = await startApp({ answer, ...(database ? { database } : {}) })
  const form = { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'application/json' }
  return {
    ...app,
    question: (question = 'What is SSE?', id = ID) =>
      app.ask('POST', answersPath, form, new URLSearchParams({ question, id }).toString()),
    stream: (id = ID, headers) => app.open(answerPathOf(id), headers),
    stop: (id = ID) => app.ask('DELETE', answerPathOf(id)),
  }
}

const answerEventsIn = (client: Client): AnswerEvent[] =>
  eventsIn(client).map(
    ({ event, data }) => ({ event, data: event === 'close' ? data : (JSON.parse(data) as unknown) }) as AnswerEvent,
  )
/** What a page shows that has this stream. */
const shownBy = (client: Client): Answer | null => answerEventsIn(client).reduce(reduceAnswer, null)

/** A log that refuses every event, until the returned mock is restored. */
function withoutRoom(log: AnswerApp['log']) {
  return vi.spyOn(log, 'append').mockImplementation(() => {
    throw new EventLogError('bytes', 'There is no room.')
  })
}

describe('an answer', () => {
  it('goes to everyone word by word, to those who come late, and to those who come when it has ended', async () => {
    const upstream = await Upstream.start()
    const app = await start({ openAi: upstream.options })
    const reply = await app.question('Why?')
    expect(reply.status).toBe(201)
    expect(JSON.parse(reply.body)).toEqual({ id: ID, url: answerPathOf(ID), state: 'streaming' })
    const res = begin(await upstream.response())
    const early = app.stream()
    say(res, 'Because ')
    await eventually(() => expect(shownBy(early)?.text).toBe('Because '))
    const late = app.stream()
    await eventually(() => expect(shownBy(late)?.text).toBe('Because '))
    say(res, 'it **streams**.')
    done(res)
    const full = { question: 'Why?', text: 'Because it **streams**.', state: 'done', model: 'tiny', reason: null }
    for (const client of [early, late]) {
      await client.toEnd()
      expect(shownBy(client)).toMatchObject(full)
    }
    const after = app.stream()
    await after.toEnd()
    expect(shownBy(after)).toMatchObject(full)
    expect(shownBy(after)?.firstWord).toBeLessThanOrEqual(shownBy(after)?.took ?? -1)
    expect(upstream.asked).toHaveLength(1)
  })

  it('continues after a cut where it was, and is never asked twice, whoever repeats the question', async () => {
    const upstream = await Upstream.start()
    const app = await start({ openAi: upstream.options })
    await app.question()
    const res = begin(await upstream.response())
    say(res, 'one ')
    const first = app.stream()
    await eventually(() => expect(shownBy(first)?.text).toBe('one '))
    say(res, 'two ')
    await first.until(/"two "/)
    const id = eventsIn(first).at(-1)?.id ?? ''
    first.socket.destroy()
    expect((await app.question()).status).toBe(201)
    say(res, 'three')
    const resumed = app.stream(ID, { 'Last-Event-ID': id })
    await resumed.until(/"three"/)
    done(res)
    await resumed.toEnd()
    expect(answerEventsIn(resumed).map(({ event, data }) => [event, (data as { text?: string }).text])).toEqual([
      ['delta', 'three'],
      ['close', undefined],
    ])
    expect(JSON.parse((await app.question()).body)).toMatchObject({ state: 'done' })
    expect(upstream.asked).toHaveLength(1)
  })

  it('that is stopped is stopped for all, and cancels the request to the model', async () => {
    const upstream = await Upstream.start()
    const app = await start({ openAi: upstream.options })
    await app.question()
    const res = begin(await upstream.response())
    say(res, 'Well, ')
    const screens = [app.stream(), app.stream()]
    for (const screen of screens) await eventually(() => expect(shownBy(screen)?.text).toBe('Well, '))
    const cancelled = once(res, 'close')
    expect(JSON.parse((await app.stop()).body)).toEqual({ state: 'stopped' })
    await cancelled
    for (const screen of screens) {
      await screen.toEnd()
      expect(shownBy(screen)).toMatchObject({ state: 'stopped', text: 'Well, ' })
      expect(answerEventsIn(screen).map(({ event }) => event)).toEqual(['snapshot', 'stopped', 'close'])
    }
    // Once more changes nothing.
    expect(JSON.parse((await app.stop()).body)).toEqual({ state: 'stopped' })
  })

  it('whose process died is interrupted, keeps what it had, and is not asked again', async () => {
    const upstream = await Upstream.start()
    const database = new Database({ url: ':memory:' })
    // Nothing of the first process is left but what it has stored, and no sign of life.
    await database.query(
      `INSERT INTO answers (id, question, text, state, took, created) VALUES (:id, 'Why?', 'Because', 'streaming', 0, 0)`,
      { id: ID },
    )
    const next = await start({ openAi: upstream.options }, database)
    for (let n = 0; n < 2; n++) {
      const client = next.stream(ID, { 'Last-Event-ID': 'gone:7' })
      await client.toEnd()
      expect(shownBy(client)).toMatchObject({ question: 'Why?', text: 'Because', state: 'interrupted' })
      expect(answerEventsIn(client).map(({ event }) => event)).toEqual(['snapshot', 'interrupted', 'close'])
    }
    expect(JSON.parse((await next.question('Why?')).body)).toMatchObject({ state: 'interrupted' })
    expect(upstream.asked).toHaveLength(0)
  })

  it('that another process counts as interrupted is so for all: its own process lets go of it, and says so', async () => {
    const upstream = await Upstream.start()
    const database = new Database({ url: ':memory:' })
    const app = await start({ openAi: upstream.options, beat: 20 }, database)
    await app.question()
    const res = begin(await upstream.response())
    say(res, 'Well, ')
    const screen = app.stream()
    await eventually(() => expect(shownBy(screen)?.text).toBe('Well, '))
    const cancelled = once(res, 'close')
    await database.query(`UPDATE answers SET state = 'interrupted'`)
    await cancelled
    await screen.toEnd()
    expect(shownBy(screen)).toMatchObject({ state: 'interrupted', text: 'Well, ' })
    expect(answerEventsIn(screen).map(({ event }) => event)).toEqual(['snapshot', 'interrupted', 'close'])
  })

  it('is asked for once, also by two processes at the same moment', async () => {
    const upstream = await Upstream.start()
    const database = new Database({ url: ':memory:' })
    const apps = [
      await start({ openAi: upstream.options }, database),
      await start({ openAi: upstream.options }, database),
    ]
    const replies = await Promise.all(apps.map((app) => app.question()))
    for (const { status, body } of replies) {
      expect(status).toBe(201)
      expect(JSON.parse(body)).toMatchObject({ state: 'streaming' })
    }
    begin(await upstream.response())
    for (const app of apps) await app.stop()
    expect(upstream.asked).toHaveLength(1)
  })

  it('tells what the log had no room for with the next word, or when there is room', async () => {
    const upstream = await Upstream.start()
    const app = await start({ openAi: upstream.options })
    await app.question()
    const res = begin(await upstream.response())
    const screen = app.stream()
    say(res, 'one ')
    await eventually(() => expect(shownBy(screen)?.text).toBe('one '))
    const append = withoutRoom(app.log)
    for (const word of ['two ', 'three ']) say(res, word)
    await eventually(() => expect(append).toHaveBeenCalledTimes(2))
    append.mockRestore()
    await eventually(() => expect(shownBy(screen)?.text).toBe('one two three '))
    say(res, 'four')
    await eventually(() => expect(shownBy(screen)?.text).toBe('one two three four'))
    done(res)
    await screen.toEnd()
    expect(shownBy(screen)).toMatchObject({ state: 'done', text: 'one two three four' })
  })

  it('whose end the log has no room for is whole on every screen all the same', async () => {
    const upstream = await Upstream.start()
    const app = await start({ openAi: upstream.options })
    await app.question()
    const res = begin(await upstream.response())
    const screen = app.stream()
    say(res, 'one ')
    await eventually(() => expect(shownBy(screen)?.text).toBe('one '))
    const append = withoutRoom(app.log)
    say(res, 'two')
    await eventually(() => expect(append).toHaveBeenCalled())
    await app.stop()
    await screen.toEnd()
    expect(shownBy(screen)).toMatchObject({ state: 'stopped', text: 'one two' })
  })

  it('that has ended sends nobody back: whoever saw its end is answered 204', async () => {
    const app = await start()
    await app.question()
    const client = app.stream()
    await client.toEnd()
    const ended = app.stream()
    await ended.toEnd()
    const id = eventsIn(ended).at(-1)?.id ?? ''
    expect((await app.ask('GET', answerPathOf(ID), { 'Last-Event-ID': id })).status).toBe(204)
  })

  it('can be the response to its own question', async () => {
    const app = await start()
    const { status, headers, body } = await app.ask(
      'POST',
      answersPath,
      { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'text/event-stream' },
      'question=Why?',
    )
    expect({ status, type: headers['content-type'] }).toEqual({ status: 200, type: 'text/event-stream; charset=utf-8' })
    expect(body).toContain('event: snapshot')
    expect(body).toContain('event: close')
  })
})

describe('the built-in speaker', () => {
  it('recites in the language of the question, and says that it is no model', async () => {
    const app = await start()
    for (const [question, id, words] of [
      ['Why?', 'an-english-question', 'I am **not a model**'],
      ['为什么？', 'a-chinese-question', '我**不是模型**'],
    ] as const) {
      await app.question(question, id)
      const client = app.stream(id)
      await client.toEnd()
      expect(shownBy(client)).toMatchObject({ model: null, state: 'done' })
      expect(shownBy(client)?.text.startsWith(words)).toBe(true)
    }
  })

  it('leaves nothing out', () => {
    for (const text of ['Hello, **world**!\n\n- a\n- b\n', '你好，**世界**！\n\n1. 一\n2. two 三四五\n', '  indented'])
      expect(wordsOf(text).join('')).toBe(text)
  })
})

describe('a model', () => {
  const failing: [string, string, (res: ServerResponse) => unknown][] = [
    ['refuses the key', 'upstream-refused', (res) => res.writeHead(401).end(`{"error":"Incorrect key ${KEY}"}`)],
    ['has no such model', 'upstream-refused', (res) => res.writeHead(404).end('not found')],
    ['has too much to do', 'upstream-busy', (res) => res.writeHead(429).end('{}')],
    ['breaks off', 'upstream-broken', (res) => (say(begin(res), 'Well'), setTimeout(() => res.destroy(), 20))],
    ['ends in the middle', 'upstream-broken', (res) => (say(begin(res), 'Well'), res.end())],
    ['sends something else', 'upstream-broken', (res) => begin(res).end('data: <html>\n\n')],
    ['reports an error', 'upstream-error', (res) => begin(res).end(`data: {"error":{"message":"${KEY}"}}\n\n`)],
    ['falls silent', 'upstream-silent', (res) => say(begin(res), 'Well')],
    ['never answers', 'upstream-silent', () => undefined],
    ['talks for ever', 'too-long', (res) => say(begin(res), 'x'.repeat(600))],
    [
      'takes for ever',
      'too-slow',
      (res) => {
        begin(res)
        const talk = setInterval(() => say(res, '.'), 20)
        res.once('close', () => clearInterval(talk))
      },
    ],
  ]
  it.each(failing)('that %s: %s, in words, and the key is told to nobody', async (_name, reason, behave) => {
    const upstream = await Upstream.start(behave)
    const app = await start({ openAi: { ...upstream.options, silence: 400 }, length: 500, time: 1_500 })
    await app.question()
    const client = app.stream()
    await client.toEnd()
    expect(shownBy(client)).toMatchObject({ state: 'failed', reason })
    const after = app.stream()
    await after.toEnd()
    expect(shownBy(after)).toMatchObject({ state: 'failed', reason })
    for (const { received } of [client, after]) {
      expect(received).not.toContain(KEY)
      expect(received).toMatch(/event: stream-error\n(id: .*\n)?data: .*"message":"\w[^"]+\."/)
    }
    expect(upstream.asked[0]?.headers.authorization).toBe(`Bearer ${KEY}`)
  })

  it('that is not there: upstream-unreachable', async () => {
    // Nobody listens to the port for discarding.
    const app = await start({ openAi: { baseUrl: 'http://127.0.0.1:9/v1', apiKey: null, model: 'tiny' } })
    await app.question()
    const client = app.stream()
    await client.toEnd()
    expect(shownBy(client)).toMatchObject({ state: 'failed', reason: 'upstream-unreachable' })
  })

  it('that is slow, and sends half of everything, is understood', async () => {
    const upstream = await Upstream.start()
    const app = await start({ openAi: upstream.options })
    await app.question()
    const res = begin(await upstream.response())
    const bytes = Buffer.from(
      `: hello\r\n\r\ndata: ${JSON.stringify({ choices: [{ delta: { content: '你好 😀' } }] })}\r\n\r\n`,
    )
    for (const byte of bytes) {
      res.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    done(res)
    const client = app.stream()
    await client.toEnd()
    expect(shownBy(client)).toMatchObject({ text: '你好 😀', state: 'done' })
  })
})

describe('the bounds', () => {
  it('are so many answers at once for a client, and in all, and a stop makes room', async () => {
    const upstream = await Upstream.start()
    const app = await start({ openAi: upstream.options, perClient: 2, running: 3 })
    for (const n of [1, 2]) expect((await app.question('Why?', `${ID}${n}`)).status).toBe(201)
    expect(errorOf(await app.question('Why?', `${ID}3`))).toMatchObject({ status: 429, code: 'answers-client' })
    await app.stop(`${ID}1`)
    expect((await app.question('Why?', `${ID}3`)).status).toBe(201)
    const crowded = await start({ openAi: upstream.options, perClient: 2, running: 1 })
    await crowded.question()
    expect(errorOf(await crowded.question('Why?', `${ID}4`))).toMatchObject({ status: 503, code: 'answers' })
  })

  it.each([
    [{ question: ' ' }, 400, 'question-empty'],
    [{ question: 'x'.repeat(MAX_QUESTION + 1) }, 413, 'question-long'],
    [{ question: 'x', id: 'short' }, 400, 'id'],
  ])('refuse %o: %d %s', async (params, status, code) => {
    const app = await start()
    const reply = await app.question(params.question, 'id' in params ? params.id : ID)
    expect(errorOf(reply)).toMatchObject({ status, code })
  })

  it('know no answer that was never asked', async () => {
    const app = await start()
    expect(errorOf(await app.ask('GET', answerPathOf(ID)))).toMatchObject({ status: 404, code: 'no-answer' })
    expect(errorOf(await app.stop())).toMatchObject({ status: 404, code: 'no-answer' })
  })

  it('ask nobody where the question cannot be kept', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const upstream = await Upstream.start()
    const database = new Database({ url: 'file:/dev/null/demo.db' })
    onTestFinished(() => database.close())
    const app = await start({ openAi: upstream.options }, database)
    expect(errorOf(await app.question())).toMatchObject({ status: 503, code: 'database-unwritable' })
    expect(upstream.asked).toEqual([])
  })
})
