import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { answerPathOf, answersPath, reduceAnswer, type Answer, type AnswerEvent } from '../../shared/demos/answer'
import { serve } from '../testing'
import { databaseUrl, startNodes, type TestNode } from '../testingNodes'
import { hasRedis, startRedis, type RedisProcess } from '../testingRedis'
import { screenOf, type AnyServer, type Screen } from '../testingScreens'

vi.setConfig({ testTimeout: 120_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 30_000, interval: 20 })

/** A reader, and the words that it could not have placed: they came after others that it lacks. */
interface Reader extends Screen<Answer | null> {
  holes: string[]
}

function readerOf(server: AnyServer, id: string): Reader {
  const holes: string[] = []
  const screen = screenOf(server, answerPathOf(id), null, (answer: Answer | null, event: AnswerEvent) => {
    if (event.event === 'delta' && event.data.at > (answer?.text.length ?? 0)) holes.push(event.data.text)
    return reduceAnswer(answer, event)
  })
  return Object.assign(screen, { holes })
}

interface Setup {
  redis: RedisProcess
  one: TestNode
  other: TestNode
  id: string
  /** How often the model was asked. */
  asked: () => number
  ask: (node: TestNode) => Promise<{ status: number; state: string }>
  stop: (node: TestNode) => Promise<{ state: string }>
  /** The model's response. */
  response: () => Promise<ServerResponse>
}

async function start(): Promise<Setup> {
  const redis = await startRedis(['--appendonly', 'yes'])
  onTestFinished(() => redis.stop())
  const responses: ServerResponse[] = []
  const port = await serve(async (req, res) => {
    await json(req)
    responses.push(res.writeHead(200, { 'Content-Type': 'text/event-stream' }))
  })
  const [one, other] = (await startNodes(2, {
    DATABASE_URL: databaseUrl(),
    REDIS_URL: redis.url,
    OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
    OPENAI_MODEL: 'tiny',
  })) as [TestNode, TestNode]
  const id = randomUUID()
  const url = ({ url }: TestNode): string => url + answersPath
  return {
    redis,
    one,
    other,
    id,
    asked: () => responses.length,
    ask: async (node) => {
      const body = new URLSearchParams({ id, question: 'Why?' })
      const reply = await fetch(url(node), { method: 'POST', headers: { Accept: 'application/json' }, body })
      const { state } = (await reply.json()) as { state: string }
      return { status: reply.status, state }
    },
    stop: async (node) => {
      const reply = await fetch(node.url + answerPathOf(id), { method: 'DELETE' })
      return (await reply.json()) as { state: string }
    },
    response: () => vi.waitUntil(() => responses.at(-1), { timeout: 20_000, interval: 5 }),
  }
}

const say = (res: ServerResponse, content: string): void => {
  res.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`)
}
const done = (res: ServerResponse): void => {
  res.write(`data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: 'stop' }] })}\n\n`)
  res.end('data: [DONE]\n\n')
}

describe.runIf(hasRedis)('an answer that one of two servers writes', () => {
  it('is read at both, by those who come in the middle too, and is asked for once, also while the model is silent', async () => {
    const { one, other, id, asked, ask, response } = await start()
    expect(await ask(one)).toEqual({ status: 201, state: 'streaming' })
    const res = await response()
    const readers = [one, other].map((node) => readerOf(() => node.url, id))
    say(res, 'Because ')
    for (const reader of readers) await eventually(() => expect(reader.state?.text).toBe('Because '))
    // For longer than a process is waited for that gives no sign of life.
    await sleep(3_000)
    expect(await ask(other)).toEqual({ status: 201, state: 'streaming' })
    readers.push(readerOf(() => other.url, id))
    say(res, 'it streams.')
    for (const reader of readers) await eventually(() => expect(reader.state?.text).toBe('Because it streams.'))
    done(res)
    for (const reader of readers) {
      await eventually(() => expect(reader.isFinished).toBe(true))
      expect(reader.state).toMatchObject({ state: 'done', text: 'Because it streams.' })
    }
    expect(await ask(other)).toEqual({ status: 201, state: 'done' })
    expect(asked()).toBe(1)
  })

  it('has no hole for anybody, whenever they come', async () => {
    const { one, other, id, ask, response } = await start()
    await ask(one)
    const res = await response()
    const words = Array.from({ length: 400 }, (_, n) => `word${n} `)
    const readers: Reader[] = []
    for (const [n, word] of words.entries()) {
      say(res, word)
      if (n % 10 === 0) readers.push(readerOf(() => other.url, id))
      await sleep(5)
    }
    done(res)
    for (const reader of readers) {
      await eventually(() => expect(reader.isFinished).toBe(true))
      expect(reader.state?.text).toBe(words.join(''))
      expect(reader.holes).toEqual([])
    }
  })

  it('can be stopped at the other one, which cancels the request to the model', async () => {
    const { one, other, id, ask, stop, response } = await start()
    await ask(one)
    const res = await response()
    const readers = [one, other].map((node) => readerOf(() => node.url, id))
    say(res, 'Well, ')
    for (const reader of readers) await eventually(() => expect(reader.state?.text).toBe('Well, '))
    const cancelled = once(res, 'close')
    expect(await stop(other)).toEqual({ state: 'stopped' })
    await cancelled
    for (const reader of readers) {
      await eventually(() => expect(reader.isFinished).toBe(true))
      expect(reader.state).toMatchObject({ state: 'stopped', text: 'Well, ' })
    }
  })

  it('is interrupted when that dies: the other says so, and never asks again', async () => {
    const { one, other, id, asked, ask, stop, response } = await start()
    await ask(one)
    const res = await response()
    const nodes = [one, other]
    const readers = [readerOf(() => other.url, id), readerOf(() => (nodes[Math.round(Math.random())] ?? other).url, id)]
    say(res, 'Well, ')
    for (const reader of readers) await eventually(() => expect(reader.state?.text).toBe('Well, '))
    await one.kill()
    for (const reader of readers) {
      await eventually(() => expect(reader.isFinished).toBe(true))
      expect(reader.state?.state).toBe('interrupted')
      expect('Well, '.startsWith(reader.state?.text ?? '?')).toBe(true)
    }
    expect(await ask(other)).toEqual({ status: 201, state: 'interrupted' })
    expect(await stop(other)).toEqual({ state: 'interrupted' })
    await one.start()
    expect(await ask(one)).toEqual({ status: 201, state: 'interrupted' })
    expect(asked()).toBe(1)
  })

  it('is whole on every screen although Redis was away in the middle', async () => {
    const { redis, one, other, id, ask, response } = await start()
    await ask(one)
    const res = await response()
    const readers = [one, other].map((node) => readerOf(() => node.url, id))
    say(res, 'one ')
    for (const reader of readers) await eventually(() => expect(reader.state?.text).toBe('one '))
    await redis.kill()
    say(res, 'two ')
    await sleep(500)
    say(res, 'three ')
    await eventually(() => expect(one.printed?.stderr).toContain('Redis is away'))
    await redis.restart()
    // The model says nothing more.
    for (const reader of readers) await eventually(() => expect(reader.state?.text).toBe('one two three '))
    done(res)
    for (const reader of readers) {
      await eventually(() => expect(reader.isFinished).toBe(true))
      expect(reader.holes).toEqual([])
    }
  })
})
