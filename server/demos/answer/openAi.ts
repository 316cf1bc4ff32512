import { createParser } from 'eventsource-parser'
import { SpeakerError, type Speaker } from './speaker'

export interface OpenAiOptions {
  /** Such as `https://api.openai.com/v1`, `http://localhost:11434/v1` for Ollama, `http://localhost:8000/v1` for vLLM. */
  baseUrl: string
  apiKey: string | null
  model: string
  /** Milliseconds without a byte, after which the server counts as gone. A local model may take long to load. @default 60_000 */
  silence?: number
}

/** Characters that the server may send, with all that is around the words. */
const MAX_RESPONSE = 8 * 2 ** 20

/** Any server that speaks OpenAI's protocol for chat completions. What it says of its errors is for the log: it may quote the key. */
export function openAiSpeaker({ baseUrl, apiKey, model, silence = 60_000 }: OpenAiOptions): Speaker {
  const url = `${baseUrl.replace(/\/+$/, '')}/chat/completions`
  const headers = {
    'Content-Type': 'application/json',
    Accept: 'text/event-stream',
    ...(apiKey === null ? {} : { Authorization: `Bearer ${apiKey}` }),
  }

  return {
    model,
    async *speak(question, signal) {
      const silent = new AbortController()
      const watchdog = setTimeout(() => {
        silent.abort(new SpeakerError('upstream-silent', `Nothing came for ${silence} ms.`))
      }, silence).unref()
      const body = JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: question }] })
      let response: Response | undefined
      try {
        response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.any([signal, silent.signal]) })
        if (!response.ok || !response.body) throw await refusal(response)
        const words = new Words()
        for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
          watchdog.refresh()
          yield* words.read(text)
          if (words.isComplete) return
        }
        if (!words.isFinished) throw new SpeakerError('upstream-broken', 'The response ended in the middle.')
      } catch (error) {
        if (signal.aborted) throw signal.reason
        if (silent.signal.aborted) throw silent.signal.reason
        if (error instanceof SpeakerError) throw error
        const reason = response ? 'upstream-broken' : 'upstream-unreachable'
        throw new SpeakerError(reason, `The request to the model failed: ${String(error)}.`, { cause: error })
      } finally {
        clearTimeout(watchdog)
      }
    },
  }
}

/** The words in a stream of chat completions. */
class Words {
  /** `[DONE]` was there. */
  isComplete = false
  /** The model has said why it stopped: some servers send no `[DONE]`. */
  isFinished = false
  #length = 0
  #found: string[] = []
  readonly #parser = createParser({ onEvent: ({ data }) => this.#take(data) })

  read(text: string): string[] {
    this.#length += text.length
    if (this.#length > MAX_RESPONSE) throw new SpeakerError('too-long', 'The model sends too much.')
    this.#found = []
    this.#parser.feed(text)
    return this.#found
  }

  #take(data: string): void {
    if (data.trim() === '[DONE]') {
      this.isComplete = true
      return
    }
    const chunk = chunkOf(data)
    if (chunk.error !== undefined)
      throw new SpeakerError('upstream-error', `The model reported an error: ${data.slice(0, 500)}`)
    const [choice] = chunk.choices ?? []
    if (typeof choice?.delta?.content === 'string') this.#found.push(choice.delta.content)
    if (typeof choice?.finish_reason === 'string') this.isFinished = true
  }
}

interface Chunk {
  error?: unknown
  choices?: { delta?: { content?: unknown }; finish_reason?: unknown }[]
}

function chunkOf(data: string): Chunk {
  try {
    const chunk: unknown = JSON.parse(data)
    if (typeof chunk === 'object' && chunk !== null) return chunk
  } catch {
    // As if it were something else.
  }
  throw new SpeakerError('upstream-broken', `This is no chat completion: ${data.slice(0, 200)}`)
}

async function refusal(response: Response): Promise<SpeakerError> {
  const { status } = response
  const said = await response.text().catch(() => '')
  const reason = status === 429 || status === 503 ? 'upstream-busy' : 'upstream-refused'
  return new SpeakerError(reason, `The model's server answered ${status}: ${said.slice(0, 500)}`)
}
