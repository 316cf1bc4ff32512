/** Types: what is inferred, and the holes that must not be. Nothing here runs; `npm run check` compiles it. */
import { expectTypeOf } from 'vitest'
import { computed, ref, type Ref, type ShallowRef } from 'vue'
import { useEventSource, type Decoders, type EventSourceStatus, type RawEvent } from './useEventSource'

interface Price {
  symbol: string
  value: number
}
declare function parsePrice(raw: string): Price

// --- Without options: text

const plain = useEventSource('/sse')
expectTypeOf(plain.content).toEqualTypeOf<Readonly<ShallowRef<string>>>()
expectTypeOf(plain.status).toEqualTypeOf<Readonly<Ref<EventSourceStatus>>>()
expectTypeOf(plain.last.value).toEqualTypeOf<
  | { readonly event: 'message'; readonly data: string; readonly id: string }
  | { readonly event: 'close'; readonly data: string; readonly id: string }
  | null
>()
expectTypeOf(plain.start).toEqualTypeOf<() => void>()
plain.on('message', (event) => {
  expectTypeOf(event).toEqualTypeOf<{ readonly event: 'message'; readonly data: string; readonly id: string }>()
})
plain.on('anything', ({ data }) => expectTypeOf(data).toEqualTypeOf<string>())
declare const anyName: string
plain.on(anyName, ({ data }) => expectTypeOf(data).toEqualTypeOf<unknown>())

// @ts-expect-error -- what is received cannot be written
plain.content.value = ''
// @ts-expect-error -- nor can the status
plain.status.value = 'open'
// @ts-expect-error -- start takes no URL: the URL is reactive
plain.start('/other')

// --- Every kind of URL

useEventSource(ref('/sse'))
useEventSource(computed(() => '/sse'))
useEventSource(() => undefined)
useEventSource(new URL('https://example.com'))
useEventSource(null)
// @ts-expect-error -- a number is no URL
useEventSource(7)

// --- Names and data inferred from decode, events and doneOn

const typed = useEventSource('/sse', {
  decode: { price: parsePrice, count: Number },
  events: ['note'],
  doneOn: 'end',
})
typed.on('price', ({ data }) => expectTypeOf(data).toEqualTypeOf<Price>())
typed.on('count', ({ data }) => expectTypeOf(data).toEqualTypeOf<number>())
typed.on('note', ({ data }) => expectTypeOf(data).toEqualTypeOf<string>())
typed.on('message', ({ data }) => expectTypeOf(data).toEqualTypeOf<string>())
typed.on('end', ({ data }) => expectTypeOf(data).toEqualTypeOf<string>())
const event = typed.last.value
if (event?.event === 'price') expectTypeOf(event.data).toEqualTypeOf<Price>()
expectTypeOf<NonNullable<typeof event>['event']>().toEqualTypeOf<'price' | 'count' | 'note' | 'message' | 'end'>()
// @ts-expect-error -- not before its name is known
expectTypeOf(event?.data.value)

// --- Where a decoder may be missing, or names are not known, data may be text

declare const optional: { price?: (raw: string) => Price }
declare const numbers: Record<string, (raw: string) => number>
const maybe = useEventSource('/sse', { decode: optional })
maybe.on('price', ({ data }) => expectTypeOf(data).toEqualTypeOf<Price | string>())
const loose = useEventSource('/sse', { decode: numbers })
loose.on('message', ({ data }) => expectTypeOf(data).toEqualTypeOf<number | string>())
const named = useEventSource('/sse', { decode: { price: parsePrice }, events: [] as string[] })
named.on('price', ({ data }) => expectTypeOf(data).toEqualTypeOf<Price | string>())
declare const room: `price${string}`
typed.on(room, ({ data }) => expectTypeOf(data).toEqualTypeOf<Price | string>())
const declared = { decode: { price: parsePrice }, doneOn: 'end' }
// @ts-expect-error -- a name that is only known as string could be that of any event: `as const`
useEventSource('/sse', declared)

// --- A decoder written in place knows what it gets

useEventSource('/sse', { decode: { price: (raw) => ({ length: raw.length }) } }).on('price', ({ data }) =>
  expectTypeOf(data).toEqualTypeOf<{ length: number }>(),
)

// --- Without a done event there is none in `last`, and a predicate's is one of the others

const endless = useEventSource('/sse', { decode: { price: parsePrice }, doneOn: false })
expectTypeOf(endless.last.value?.event).toEqualTypeOf<'price' | 'message' | undefined>()

// --- `message` can be decoded too

const decoded = useEventSource('/sse', { decode: { message: parsePrice } })
decoded.on('message', ({ data }) => expectTypeOf(data).toEqualTypeOf<Price>())

// --- `any` is no way out: JSON.parse has to be looked at

const parsed = useEventSource('/sse', { decode: { price: JSON.parse } })
parsed.on('price', ({ data }) => expectTypeOf(data).toEqualTypeOf<unknown>())

// --- Content inferred from initial and reduce

const sum = useEventSource('/sse', {
  decode: { price: parsePrice },
  initial: 0,
  reduce: (total, one) => {
    expectTypeOf(total).toEqualTypeOf<number>()
    return one.event === 'price' ? total + one.data.value : total
  },
})
expectTypeOf(sum.content.value).toEqualTypeOf<number>()

const list = useEventSource('/sse', { initial: () => [] as RawEvent[], reduce: (all, one) => [...all, one] })
expectTypeOf(list.content.value).toEqualTypeOf<RawEvent[]>()

// @ts-expect-error -- content that is no string needs a reduce
useEventSource('/sse', { initial: 0 })
// @ts-expect-error -- reduce needs an initial content
useEventSource('/sse', { reduce: (total: number) => total + 1 })
// @ts-expect-error -- reduce returns content
useEventSource('/sse', { initial: 0, reduce: () => 'text' })

// --- An explicit event map

interface Events {
  message: string
  note: string
  price: Price
}
const decode: Decoders<Events> = { price: parsePrice }
const explicit = useEventSource('/sse', {
  decode,
  initial: 0,
  reduce: (total, one) => (one.event === 'price' ? total + one.data.value : total),
})
explicit.on('price', ({ data }) => expectTypeOf(data).toEqualTypeOf<Price>())
explicit.on('note', ({ data }) => expectTypeOf(data).toEqualTypeOf<string>())
expectTypeOf(explicit.content.value).toEqualTypeOf<number>()

// @ts-expect-error -- price is no string: without a decoder, text would be typed as a Price
export const incomplete: Decoders<Events> = {}
// @ts-expect-error -- the decoder has to make what the map says
export const wrong: Decoders<Events> = { price: (raw: string) => raw }
// @ts-expect-error -- an event that the map does not know
export const unknown: Decoders<Events> = { price: parsePrice, other: parsePrice }

// --- doneOn as a predicate sees the union

useEventSource('/sse', {
  decode: { price: parsePrice },
  doneOn: (one) => {
    expectTypeOf(one.event).toEqualTypeOf<'price' | 'message'>()
    return one.event === 'price' && one.data.value < 0
  },
})
