import { describe, expect, it } from 'vitest'
import { encode, SseEncodeError, toEvent, type Sendable, type SseEvent } from './encode'

const text = (event: SseEvent): string => encode(event).toString()

describe('encode', () => {
  it('writes one data line and the blank line that dispatches it', () => {
    expect(text({ data: 'hello' })).toBe('data: hello\n\n')
  })

  it('writes every field in one block', () => {
    expect(text({ comment: 'c', retry: 10, event: 'tick', id: '7', data: 'd' })).toBe(
      ': c\nretry: 10\nevent: tick\nid: 7\ndata: d\n\n',
    )
  })

  it.each([
    ['LF', 'a\nb'],
    ['CR', 'a\rb'],
    ['CRLF', 'a\r\nb'],
  ])('splits data at %s', (_name, data) => {
    expect(text({ data })).toBe('data: a\ndata: b\n\n')
  })

  it('keeps empty lines, leading spaces and a trailing line break of data', () => {
    expect(text({ data: '\n a\n\n' })).toBe('data: \ndata:  a\ndata: \ndata: \n\n')
  })

  it('splits a comment at every line ending, so that it cannot become a field', () => {
    expect(text({ comment: 'a\rdata: forged\nid: 1' })).toBe(': a\n: data: forged\n: id: 1\n\n')
  })

  it('writes an empty data line for empty data, and none without data', () => {
    expect(text({ data: '' })).toBe('data: \n\n')
    expect(text({ retry: 0 })).toBe('retry: 0\n\n')
    expect(text({ id: '' })).toBe('id: \n\n')
    expect(text({ comment: '' })).toBe(': \n\n')
  })

  it('writes UTF-8', () => {
    expect(encode({ data: '连接成功' })).toEqual(Buffer.from('data: 连接成功\n\n', 'utf8'))
  })

  it('replaces a lone surrogate in data, like every UTF-8 encoder', () => {
    expect(text({ data: 'a\ud800b' })).toBe('data: a\ufffdb\n\n')
  })

  it.each(['id', 'event'] as const)('refuses CR, LF, NUL and a lone surrogate in %s', (field) => {
    for (const bad of ['a\rdata: x', 'a\ndata: x', 'a\0', '\udc00']) {
      expect(() => encode({ [field]: bad })).toThrow(expect.objectContaining({ name: 'SseEncodeError', kind: field }))
    }
  })

  it.each([-1, 1.5, NaN, Infinity, 2 ** 53])('refuses retry: %d', (retry) => {
    expect(() => encode({ retry })).toThrow(/retry must be a non-negative integer/)
  })

  it('refuses an event with no field', () => {
    expect(() => encode({})).toThrow(SseEncodeError)
  })
})

describe('toEvent', () => {
  it.each<[string, Sendable, SseEvent]>([
    ['text', 'a\nb', { data: 'a\nb' }],
    ['a number', 0, { data: '0' }],
    ['null', null, { data: 'null' }],
    ['false', false, { data: 'false' }],
    ['an array', [1, { a: 'b' }], { data: '[1,{"a":"b"}]' }],
    ['an event', { event: 'e', id: '1', data: 'x' }, { event: 'e', id: '1', data: 'x' }],
    ['an event whose data is an object', { event: 'e', data: { a: [1] } }, { event: 'e', data: '{"a":[1]}' }],
    ['an event whose data is empty', { data: '' }, { data: '' }],
    ['an event whose data is null', { data: null }, { data: 'null' }],
    ['an event without data', { comment: 'c' }, { comment: 'c' }],
    ['an event whose data is undefined', { id: '1', data: undefined }, { id: '1' }],
  ])('takes %s', (_name, value, event) => {
    expect(toEvent(value)).toEqual(event)
  })

  it('refuses values that JSON cannot express', () => {
    const circular: unknown[] = []
    circular.push(circular)
    for (const data of [circular, 1n, () => 1, Symbol('s')])
      expect(() => toEvent({ data })).toThrow(expect.objectContaining({ name: 'SseEncodeError', kind: 'data' }))
  })

  it('treats an object as an event, and says how to send one that is data', () => {
    const price = { symbol: 'X', value: 1 } as Sendable
    expect(() => encode(toEvent(price))).toThrow(/An object that is data is sent as \{ data \}/)
  })
})
