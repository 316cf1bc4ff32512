import { describe, expect, it } from 'vitest'
import { Lane, SPAN } from './lane'

describe('a lane', () => {
  it('puts lost events between their neighbours', () => {
    const lane = new Lane()
    lane.arrived(1, 100, 110)
    lane.arrived(4, 400, 410)
    lane.arrived(4, 400, 500)
    expect(lane.lost).toEqual([200, 300])
    expect(lane.events.map(({ n }) => n)).toEqual([1, 4])
  })

  it('has lost nothing before its first event, even when it starts again', () => {
    const lane = new Lane()
    lane.arrived(10, 100, 110)
    lane.begin()
    lane.arrived(20, 200, 210)
    expect(lane.lost).toEqual([])
  })

  it('knows when it was connected', () => {
    const lane = new Lane()
    lane.connected(true, 1)
    lane.connected(false, 5)
    lane.connected(false, 6)
    lane.connected(true, 8)
    expect(lane.connections).toEqual([
      { from: 1, to: 5 },
      { from: 8, to: Infinity },
    ])
  })

  it('drops everything that is no longer shown, but not an open connection', () => {
    const lane = new Lane()
    lane.connected(true, 0)
    lane.requests.push({ from: 0, to: 10 })
    lane.cuts.push(5)
    lane.arrived(1, 0, 10)
    lane.arrived(3, 20, 30)
    lane.forget(SPAN + 15)
    expect(lane).toMatchObject({ requests: [], cuts: [], lost: [], connections: [{ from: 0 }] })
    expect(lane.events.map(({ n }) => n)).toEqual([3])
  })
})
