import { describe, expect, it } from 'vitest'
import { describeEventLog } from '../testingEventLog'
import { parsePosition } from './eventLog'
import { MemoryEventLog } from './memoryEventLog'

describeEventLog('memory', (options) => new MemoryEventLog(options))

describe('a position', () => {
  it.each([
    ['0', { epoch: null }],
    ['e:0', { epoch: 'e', offset: 0 }],
    ['a-_9:12', { epoch: 'a-_9', offset: 12 }],
    ['e+', { epoch: 'e', offset: Infinity }],
    ['', null],
    ['e', null],
    ['e:+', null],
    ['0+', { epoch: '0', offset: Infinity }],
    [':1', null],
    ['e:1:1', null],
  ])('%j is %j', (text, parts) => {
    expect(parsePosition(text)).toEqual(parts)
  })
})
