/** Everything that can happen to channels, clients and processes, for the property test of the hub. */

import fc from 'fast-check'
import type { Kind, Mode } from './testingClient'

/** One step of a history. */
export type Action =
  | { do: 'publish'; hub: number; count: number; size: number; isKeyed: boolean }
  | { do: 'turns'; count: number }
  | { do: 'sleep' | 'age'; ms: number }
  | { do: 'subscribe'; hub: number; kind: Kind; mode: Mode }
  | { do: 'resume'; hub: number; who: number; mode: Mode }
  | { do: 'mode'; who: number; mode: Mode }
  | { do: 'cut'; who: number; part: number }
  | { do: 'over' | 'restart'; hub: number }
  | { do: 'forge'; hub: number; id: string }
  | { do: 'wipe' }
  | { do: 'setBack'; events: number }

const who = fc.nat({ max: 20 })
const hubIndex = fc.nat({ max: 1 })
const mode = fc.constantFrom<Mode>('open', 'slow', 'blocked')
const kind = fc.constantFrom<Kind>('oldest', 'now', 'snapshot')
const forged = fc.oneof(
  fc.constantFrom(
    'x',
    ':',
    '1',
    '00',
    '-1',
    'e:-1',
    'e:1',
    'e+',
    'e:01',
    'e:1 ',
    'e:1\n',
    '\0',
    `${'9'.repeat(5_000)}:1`,
  ),
  fc.constantFrom(
    '0',
    ':-1',
    ':99999999999999999999',
    ':9007199254740993',
    ':1e3',
    ':0x1',
    ':5 junk',
    ':1:1',
    ':+1',
    '+',
  ),
  fc.constantFrom('events after 0', 'events from oldest welcome'),
  fc.string({ minLength: 1 }),
)

export const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.record({
      do: fc.constant('publish'),
      hub: hubIndex,
      count: fc.integer({ min: 1, max: 8 }),
      size: fc.constantFrom(0, 0, 0, 50, 3_000),
      isKeyed: fc.boolean(),
    }),
  },
  { weight: 16, arbitrary: fc.record({ do: fc.constant('turns'), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sleep'), ms: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('subscribe'), hub: hubIndex, kind, mode }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('resume'), hub: hubIndex, who, mode }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('mode'), who, mode }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('cut'), who, part: fc.constantFrom(0, 0.3, 0.7, 1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('over'), hub: hubIndex }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('age'), ms: fc.constantFrom(1, 500, 1_001) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('forge'), hub: hubIndex, id: forged }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart'), hub: hubIndex }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wipe') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('setBack'), events: fc.integer({ min: 1, max: 4 }) }) },
)
