/** In components: rendering, and the stream's end with its component. */
import { flushPromises, mount } from '@vue/test-utils'
import { renderToString } from '@vue/server-renderer'
import { describe, expect, it, vi } from 'vitest'
import {
  type App,
  type Component,
  createSSRApp,
  defineComponent,
  effectScope,
  h,
  KeepAlive,
  nextTick,
  ref,
  Suspense,
} from 'vue'
import { useEventSource, type Transport, type TransportSink } from './useEventSource'

/** A transport that exposes the sinks of its open connections. */
function wire(): { transport: Transport; open: Set<TransportSink> } {
  const open = new Set<TransportSink>()
  const transport: Transport = (_request, sink) => {
    open.add(sink)
    return { listen: () => undefined, close: () => void open.delete(sink) }
  }
  return { transport, open }
}

function streaming(transport: Transport): Component {
  return defineComponent({
    setup() {
      const { content, status, start, stop } = useEventSource('/sse', { transport, flush: 'sync' })
      return () => [
        h('button', { id: 'start', onClick: start }, 'Start'),
        h('button', { id: 'stop', onClick: stop }, 'Stop'),
        h('output', status.value),
        h('pre', content.value),
      ]
    },
  })
}

function send(open: Set<TransportSink>, data: string): void {
  for (const sink of open) sink.message({ event: 'message', data, id: '' })
}

describe('in a component', () => {
  it('content and status are rendered', async () => {
    const { transport, open } = wire()
    const component = mount(streaming(transport))
    expect(component.get('output').text()).toBe('idle')
    await component.get('#start').trigger('click')
    expect(component.get('output').text()).toBe('connecting')
    for (const sink of open) sink.open()
    send(open, 'hello')
    await nextTick()
    expect(component.get('output').text()).toBe('open')
    expect(component.get('pre').text()).toBe('hello')
    await component.get('#stop').trigger('click')
    expect(component.get('output').text()).toBe('closed')
    component.unmount()
  })

  it.each(['connecting', 'open', 'reconnecting'] as const)(
    'unmounting while %s closes the connection',
    async (state) => {
      const { transport, open } = wire()
      const component = mount(streaming(transport))
      await component.get('#start').trigger('click')
      for (const sink of open) {
        if (state !== 'connecting') sink.open()
        if (state === 'reconnecting') sink.retrying()
      }
      await nextTick()
      expect(component.get('output').text()).toBe(state)
      expect(open.size).toBe(1)
      component.unmount()
      expect(open.size).toBe(0)
    },
  )

  it('unmounting in the tick of the start opens nothing', async () => {
    const { transport, open } = wire()
    const component = mount(streaming(transport))
    void component.get('#start').trigger('click')
    component.unmount()
    await flushPromises()
    expect(open.size).toBe(0)
  })

  it('KeepAlive keeps the stream: events that came while the component was inactive are there', async () => {
    const { transport, open } = wire()
    const shown = ref(true)
    const child = streaming(transport)
    const parent = mount({ render: () => h(KeepAlive, () => (shown.value ? h(child) : null)) })
    await parent.get('#start').trigger('click')
    send(open, 'a')
    shown.value = false
    await nextTick()
    expect(parent.find('pre').exists()).toBe(false)
    send(open, 'b')
    shown.value = true
    await nextTick()
    expect(parent.get('pre').text()).toBe('ab')
    expect(open.size).toBe(1)
    parent.unmount()
    expect(open.size).toBe(0)
  })
})

describe('immediate', () => {
  it('starts when the component is mounted, but not if `stop` was called before', async () => {
    const { transport, open } = wire()
    for (const stops of [false, true]) {
      const component = mount({
        setup() {
          const stream = useEventSource('/sse', { transport, immediate: true })
          if (stops) stream.stop()
          return () => h('output', stream.status.value)
        },
      })
      await flushPromises()
      expect(component.text()).toBe(stops ? 'idle' : 'connecting')
      expect(open.size).toBe(stops ? 0 : 1)
      component.unmount()
    }
  })

  it('hydrates what a server rendered, in an async component under Suspense too', async () => {
    const { transport, open } = wire()
    const Child: Component = {
      async setup() {
        const { status } = useEventSource('/sse', { transport, immediate: true })
        await new Promise((resolve) => setTimeout(resolve, 20))
        return () => h('output', status.value)
      },
    }
    const app = (): App => createSSRApp({ render: () => h(Suspense, () => h(Child)) })
    const location = vi.spyOn(globalThis, 'location', 'get').mockReturnValue(undefined as never)
    const html = await renderToString(app())
    location.mockRestore()
    expect(html).toBe('<output>idle</output>')

    const warn = vi.spyOn(console, 'warn').mockReturnValue()
    const error = vi.spyOn(console, 'error').mockReturnValue()
    const container = document.createElement('div')
    container.innerHTML = html
    const hydrated = app()
    hydrated.mount(container)
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(warn.mock.calls.flat().filter((text) => /hydration/i.test(String(text)))).toEqual([])
    expect(error).not.toHaveBeenCalled()
    expect(container.innerHTML).toBe('<output>connecting</output>')
    expect(open.size).toBe(1)
    hydrated.unmount()
    expect(open.size).toBe(0)
  })

  it('in a store starts even if the component that used it first is never mounted', async () => {
    const { transport, open } = wire()
    const store = effectScope(true)
    const mountedNever: Component = {
      async setup() {
        store.run(() => useEventSource('/sse', { transport, immediate: true }))
        await new Promise(() => undefined)
        return () => h('p')
      },
    }
    const component = mount({ render: () => h(Suspense, () => h(mountedNever)) })
    await flushPromises()
    expect(open.size).toBe(1)
    component.unmount()
    store.stop()
    expect(open.size).toBe(0)
  })
})
