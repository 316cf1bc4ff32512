/** After its end nothing holds on to a stream: its content can be garbage-collected. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { effectScope, ref, watch, type EffectScope, type Ref } from 'vue'
import { ScriptedTransport } from './scriptedTransport'
import { useEventSource } from './useEventSource'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** A separate function, so that none of its variables outlives it. Returns a weak reference to the content. */
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

it('a stream whose scope is alive is not, because its listeners are alive', async () => {
  expect(await isCollected(await live('leak'))).toBe(false)
})

/** A stream outside of any scope whose URL is a ref that outlives it. Returns a weak reference to its content. */
async function unscoped(url: Ref<string>, how: 'stop' | 'finish' | 'leak'): Promise<WeakRef<object>> {
  const script = new ScriptedTransport()
  const stream = useEventSource(url, {
    transport: script.transport,
    flush: 'sync',
    initial: () => ({ texts: [] as string[] }),
    reduce: (all, { data }) => ({ texts: [...all.texts, data] }),
  })
  stream.start()
  await Promise.resolve()
  script.newest.sink.open()
  script.say('a')
  if (how === 'stop') stream.stop()
  if (how === 'finish') {
    script.say('bye', '', 'close')
    stream.stop()
  }
  return new WeakRef<object>(stream.content.value)
}

it.each(['stop', 'finish'] as const)('a stream created outside of a scope is collected after %s', async (how) => {
  const url = ref('/sse')
  expect(await isCollected(await unscoped(url, how))).toBe(true)
  expect(url.value).toBe('/sse')
})

it('but not before, while a page may still use it', async () => {
  const url = ref('/sse')
  expect(await isCollected(await unscoped(url, 'leak'))).toBe(false)
  url.value = ''
})

/** Subscribes and unsubscribes in a scope that stays alive. Returns a weak reference to what the handler held. */
function subscribed(scope: EffectScope): WeakRef<object> {
  const held = { text: 'held' }
  scope.run(() => {
    const off = useEventSource('/sse', { transport: new ScriptedTransport().transport }).on('message', () => held)
    off()
  })
  return new WeakRef<object>(held)
}

it('a removed handler is collected, even if the scope in which it was added is alive', async () => {
  const scope = effectScope(true)
  expect(await isCollected(subscribed(scope))).toBe(true)
  scope.stop()
})
