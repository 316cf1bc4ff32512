/** Run by vueuse.js in the browser: the same tasks with a bare EventSource, VueUse's composable and ours. */
import { useEventSource as theirs } from '@vueuse/core'
import { effectScope, nextTick, ref, watch } from 'vue'
import { useEventSource as ours } from '../../client/composables/useEventSource'

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Each opens a stream and returns what a component would use: the data that a watcher sees, the status, stop and start. */
const SIDES = {
  bare: (url, handle) => {
    let source
    const data = ref(null)
    const stream = {
      start: () => {
        source = new EventSource(url)
        source.onmessage = (event) => (data.value = event.data)
      },
      stop: () => source.close(),
      status: () => ['connecting', 'open', 'closed'][source.readyState],
      error: () => '',
    }
    watch(data, handle)
    stream.start()
    return stream
  },
  vueuse: (url, handle, options = {}) => {
    const { data, status, error, open, close } = theirs(url, [], options)
    watch(data, handle)
    return { start: open, stop: close, status: () => status.value, error: () => JSON.stringify(error.value) }
  },
  ours: (url, handle) => {
    const { status, reason, error, start, stop, on } = ours(url)
    on('message', ({ data }) => handle(data))
    start()
    return {
      start,
      stop,
      status: () => [status.value, reason.value].filter(Boolean).join(' '),
      error: () => (error.value ? `${error.value.kind} ${error.value.status ?? ''}` : ''),
    }
  },
}

const TASKS = {
  /** Three events with equal data. */
  async repeated(use) {
    let n = 0
    const stream = use('/repeated', () => n++)
    await sleep(1_500)
    stream.stop()
    return `${n} of 3 events`
  },
  /** Stopped after a few numbers, and started again. */
  async resume(use) {
    const seen = []
    const stream = use('/numbers', (data) => seen.push(Number(data)))
    await sleep(1_000)
    stream.stop()
    const last = seen.at(-1)
    await sleep(100)
    const before = seen.length
    stream.start()
    await sleep(800)
    stream.stop()
    return `${last}, then ${seen[before]}`
  },
  /** The status while the browser reconnects after the server has cut the connection. */
  async lost(use) {
    const stream = use('/cut', () => undefined)
    await sleep(1_000)
    const status = stream.status()
    stream.stop()
    return status
  },
  async refused(use) {
    const stream = use('/missing', () => undefined)
    await sleep(1_500)
    const result = [stream.status(), stream.error()].join(' / ')
    stream.stop()
    return result
  },
  /** Three 503 responses, then a stream. */
  async outage(use) {
    let n = 0
    const stream = use(`/outage?${Math.random()}`, () => n++)
    await sleep(20_000)
    const status = stream.status()
    stream.stop()
    return n > 0 ? `receiving` : status
  },
  /** A stream that ends with an event named close, on a server that starts over when asked again. */
  async finished(use) {
    const key = String(Math.random())
    const stream = use(`/finished?${key}`, () => undefined)
    await sleep(5_000)
    stream.stop()
    return `${await (await fetch(`/count?/finished?${key}`)).text()} requests in 5 s`
  },
}

window.run = async (side, task) => {
  const scope = effectScope()
  return scope.run(() => TASKS[task](SIDES[side])).finally(() => scope.stop())
}

/** Five thousand events into a text area: milliseconds until all of them are in it. */
window.textarea = async (side) => {
  document.body.innerHTML = '<textarea rows="20" cols="60"></textarea>'
  const area = document.querySelector('textarea')
  const scope = effectScope()
  const began = performance.now()
  await scope.run(
    () =>
      new Promise((resolve) => {
        if (side === 'ours') {
          const { content, start } = ours('/many', { initial: '', reduce: (text, { data }) => text + data + '\n' })
          watch(content, (text) => {
            area.value = text
            if (text.endsWith('\n5000\n')) resolve()
          })
          start()
          return
        }
        // No event may be lost, so each is handled as it arrives.
        let text = ''
        const take = (data) => {
          text += `${data}\n`
          area.value = text
          if (data === '5000') resolve()
        }
        if (side === 'vueuse') {
          const { eventSource } = theirs('/many')
          eventSource.value.addEventListener('message', ({ data }) => take(data))
        } else new EventSource('/many').onmessage = ({ data }) => take(data)
      }),
  )
  await nextTick()
  const taken = performance.now() - began
  scope.stop()
  return taken
}
