// @vitest-environment node
/** Server rendering: nothing opens, and nothing throws. */
import { renderToString } from '@vue/server-renderer'
import { describe, expect, it, vi } from 'vitest'
import { createSSRApp, h, ref } from 'vue'
import { useEventSource, type Transport } from './useEventSource'

describe('rendered on a server', () => {
  it('it is idle and empty, even when told to start', async () => {
    const transport = vi.fn<Transport>()
    const url = ref('/a')
    const app = createSSRApp({
      setup() {
        const { content, status, start, stop, clear, on } = useEventSource(url, {
          transport,
          immediate: true,
          initial: '-',
        })
        on('message', () => undefined)
        start()
        url.value = '/b'
        clear()
        stop()
        start()
        return () => h('p', `${status.value} ${content.value}`)
      },
    })
    expect(await renderToString(app)).toBe('<p>idle -</p>')
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(transport).not.toHaveBeenCalled()
  })

  it('the native transport is not even used', async () => {
    const app = createSSRApp({
      setup() {
        const { status, reason } = useEventSource('/sse', { immediate: true })
        return () => h('p', `${status.value} ${String(reason.value)}`)
      },
    })
    expect(await renderToString(app)).toBe('<p>idle null</p>')
  })
})
