/** After its end nothing holds on to a stream: what it had received can be collected. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { effectScope, watch } from 'vue'
import { ScriptedTransport } from './scriptedTransport'
import { useEventSource } from './useEventSource'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** In a function of its own, so that none of its variables outlives it. Returns weakly what `reduce` had made. */
async function live(how: 'dispose' | 'leak'): Promise<WeakRef<object>> {
  const script = new ScriptedTransport()
  const scope = effectScope(true)
  const stream = scope.run(() =>
    useEventSource('/sse', {
      transport: script.transport,
      idleTimeout: 60_000,
      initial: () => ({ texts: [] as string[] }),
      reduce: (all, { data }) => ({ texts: [...all.texts, data] }),
    }),
  )
  if (!stream) throw new Error('The scope is over.')
  scope.run(() => watch(stream.content, () => undefined))
  stream.on('message', () => undefined)
  stream.start()
  await Promise.resolve()
  script.newest.sink.open()
  script.say('a')
  script.newest.sink.retrying()
  const content = new WeakRef<object>(stream.content.value)
  if (how === 'dispose') scope.stop()
  return content
}

async function isCollected(ref: WeakRef<object>): Promise<boolean> {
  for (let round = 0; round < 20 && ref.deref() !== undefined; round++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    collect()
  }
  return ref.deref() === undefined
}

it('a stream whose scope has ended is collected', async () => {
  expect(await isCollected(await live('dispose'))).toBe(true)
})

it('a stream whose scope goes on is not, as its listeners are', async () => {
  expect(await isCollected(await live('leak'))).toBe(false)
})
