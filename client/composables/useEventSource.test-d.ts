/** Types: what is inferred, and what must not compile. Nothing here runs; `npm run check` compiles it. */
import { expectTypeOf } from 'vitest'
import { computed, ref, type Ref, type ShallowRef } from 'vue'
import { fetchTransport } from './fetchTransport'
import {
  useEventSource,
  type Decoders,
  type EventSourceStatus,
  type RawEvent,
  type Reduction,
  type UseEventSourceReturn,
} from './useEventSource'

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

// @ts-expect-error -- the content is read-only
plain.content.value = ''
// @ts-expect-error -- so is the status
plain.status.value = 'open'
// @ts-expect-error -- start takes no URL: the URL is reactive
plain.start('/other')

// --- Every kind of URL

useEventSource(ref('/sse'))
useEventSource(computed(() => '/sse'))
useEventSource(() => undefined)
useEventSource(new URL('https://example.com'))
useEventSource(null)
// @ts-expect-error -- a number is not a URL
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

// --- If a decoder may be missing, or names are unknown, data may be text

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

// --- The parameter of an inline decoder is typed

useEventSource('/sse', { decode: { price: (raw) => ({ length: raw.length }) } }).on('price', ({ data }) =>
  expectTypeOf(data).toEqualTypeOf<{ length: number }>(),
)

// --- Without a named done event, `last` has none: a predicate's done event is one of the others

const endless = useEventSource('/sse', { decode: { price: parsePrice }, doneOn: false })
expectTypeOf(endless.last.value?.event).toEqualTypeOf<'price' | 'message' | undefined>()

// --- `message` can be decoded too

const decoded = useEventSource('/sse', { decode: { message: parsePrice } })
decoded.on('message', ({ data }) => expectTypeOf(data).toEqualTypeOf<Price>())

// --- `any` becomes unknown: the result of JSON.parse has to be checked

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

// @ts-expect-error -- content that is not a string needs a reduce
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

// @ts-expect-error -- price is not a string: without a decoder, text would be typed as a Price
export const incomplete: Decoders<Events> = {}
// @ts-expect-error -- the decoder has to return the map's type
export const wrong: Decoders<Events> = { price: (raw: string) => raw }
// @ts-expect-error -- an event that is not in the map
export const unknown: Decoders<Events> = { price: parsePrice, other: parsePrice }

// --- doneOn as a predicate is called before decoding

useEventSource('/sse', {
  decode: { price: parsePrice },
  doneOn: (one) => {
    expectTypeOf(one).toEqualTypeOf<RawEvent>()
    return one.data === '[DONE]'
  },
})

// --- A declared return type

export function plainStream(): UseEventSourceReturn {
  return useEventSource('/sse')
}
export function textStream(): UseEventSourceReturn<string, { message: string }> {
  return useEventSource('/sse', { immediate: true, doneOn: 'close' })
}
export function priceStream(): UseEventSourceReturn<number, { message: string; price: Price }> {
  return useEventSource('/sse', {
    decode: { price: parsePrice },
    initial: 0,
    reduce: (total, one) => (one.event === 'price' ? total + one.data.value : total),
  })
}
// @ts-expect-error -- the content is text
export const wrongReturn = (): UseEventSourceReturn<number> => useEventSource('/sse')

// --- An inline [] or null as initial content

const annotated = useEventSource('/sse', {
  initial: [],
  reduce: (all: string[], { data }) => [...all, data],
})
expectTypeOf(annotated.content.value).toEqualTypeOf<string[]>()
const latest = useEventSource('/sse', {
  decode: { price: parsePrice },
  initial: null,
  reduce: (before: Price | null, one) => (one.event === 'price' ? one.data : before),
})
expectTypeOf(latest.content.value).toEqualTypeOf<Price | null>()
const named2 = useEventSource<string[]>('/sse', { initial: [], reduce: (all, { data }) => [...all, data] })
expectTypeOf(named2.content.value).toEqualTypeOf<string[]>()
const optionalContent = useEventSource<Price | null>('/sse', { initial: null, reduce: (before) => before })
expectTypeOf(optionalContent.content.value).toEqualTypeOf<Price | null>()

// --- Undefined options, as passed on by a wrapper

useEventSource('/sse', {
  immediate: undefined,
  decode: undefined,
  events: undefined,
  limit: undefined,
  doneOn: undefined,
  retry: undefined,
  lastEventId: undefined,
  keepContent: undefined,
  idleTimeout: undefined,
  flush: undefined,
  withCredentials: undefined,
  lastEventIdParam: undefined,
  transport: undefined,
  initial: undefined,
  reduce: undefined,
})
useEventSource('/sse', { retry: { initialDelay: undefined, maxAttempts: undefined, decide: undefined } })
fetchTransport({ method: undefined, headers: undefined, body: undefined, fetch: undefined, eof: undefined })

// --- Generic wrappers

function useJsonStream<T>(url: string): UseEventSourceReturn<T | null, { message: T }> {
  return useEventSource(url, {
    decode: { message: (raw) => JSON.parse(raw) as T },
    initial: null as T | null,
    reduce: (_before, { data }) => data,
  })
}
const prices = useJsonStream<Price>('/prices')
expectTypeOf(prices.content.value).toEqualTypeOf<Price | null>()
prices.on('message', ({ data }) => expectTypeOf(data).toEqualTypeOf<Price>())

function useJsonList<T>(url: string) {
  return useEventSource(url, {
    decode: { message: (raw) => JSON.parse(raw) as T },
    initial: [] as T[],
    reduce: (all, { data }) => [...all, data],
  })
}
expectTypeOf(useJsonList<Price>('/prices').content.value).toEqualTypeOf<Price[]>()
expectTypeOf(useJsonList<Price>('/prices').last.value?.event).toEqualTypeOf<'message' | 'close' | undefined>()

// --- The kind of an error narrows its other fields

const { error } = plain
if (error.value?.kind === 'http') expectTypeOf(error.value.status).toEqualTypeOf<number>()
else if (error.value?.kind === 'decode') expectTypeOf(error.value.event).toEqualTypeOf<RawEvent>()
else expectTypeOf(error.value?.event).toEqualTypeOf<undefined>()
if (error.value?.kind === 'network') expectTypeOf(error.value.status).toEqualTypeOf<undefined>()
useEventSource('/sse', {
  retry: { decide: (one) => (one.kind === 'http' ? one.status >= 500 : one.kind !== 'request') },
})
// @ts-expect-error -- decide is called for connection errors, not for decoders
useEventSource('/sse', { retry: { decide: (one) => one.kind === 'decode' } })

// --- A reduction defined elsewhere

declare const counting: Reduction<number, { message: string }>
expectTypeOf(useEventSource('/sse', counting).content.value).toEqualTypeOf<number>()
export function useReduced<C>(url: string, reduction: Reduction<C, { message: string }>): UseEventSourceReturn<C> {
  return useEventSource(url, reduction)
}
