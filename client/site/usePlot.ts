import type UPlot from 'uplot'
import { onMounted, onScopeDispose, type Ref } from 'vue'
import { onColoursChange } from './useTheme'

export interface PlotOptions {
  /** Pixels. */
  height: number
  /** Everything but the size, read again for each drawing: a canvas has no style sheet. */
  describe: (Plot: typeof UPlot) => Omit<UPlot.Options, 'width' | 'height'>
  data: () => UPlot.AlignedData
}

/**
 * A uPlot as wide as its box. The library is loaded when the box comes into view, so that it does not delay the text of the page, and
 * the plot is drawn anew when the colours of the page change.
 */
export function usePlot(
  box: Readonly<Ref<HTMLElement | null>>,
  { height, describe, data }: PlotOptions,
): { draw: () => void; update: () => void } {
  let Plot: typeof UPlot | undefined
  let plot: UPlot | undefined

  function draw(): void {
    if (!Plot || !box.value) return
    plot?.destroy()
    plot = new Plot({ ...describe(Plot), width: box.value.clientWidth, height }, data(), box.value)
  }

  async function load(): Promise<void> {
    const [library] = await Promise.all([import('uplot'), import('uplot/dist/uPlot.min.css')])
    Plot = library.default
    draw()
    if (box.value) resized.observe(box.value)
  }

  const seen = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return
    seen.disconnect()
    void load()
  })
  const resized = new ResizeObserver(() => {
    if (plot && box.value && box.value.clientWidth !== plot.width)
      plot.setSize({ width: box.value.clientWidth, height })
  })

  onMounted(() => box.value && seen.observe(box.value))
  onColoursChange(draw)
  onScopeDispose(() => {
    seen.disconnect()
    resized.disconnect()
    plot?.destroy()
  })

  return { draw, update: () => plot?.setData(data()) }
}
