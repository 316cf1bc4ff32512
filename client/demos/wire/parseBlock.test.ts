import { expect, it } from 'vitest'
import { outcomesOf } from './parseBlock'

it.each([
  ['data: a\n\n', [{ kind: 'event', text: 'message "a"' }]],
  ['data: a\n', []],
  [
    'id: 7\nevent: tick\ndata: a\ndata: b\n\n',
    [
      { kind: 'id', text: '"7"' },
      { kind: 'event', text: 'tick "a\\nb"' },
    ],
  ],
  [
    ': c\nretry: 10\nretry: x\nfoo: bar\n\n',
    [
      { kind: 'comment', text: 'c' },
      { kind: 'retry', text: '10 ms' },
      { kind: 'ignored', text: 'retry: x' },
      { kind: 'ignored', text: 'foo: bar' },
    ],
  ],
])('%j is %j', (text, outcomes) => {
  expect(outcomesOf(text)).toEqual(outcomes)
})
