import { SPAN, type Lane, type LaneEvent } from './lane'

export interface LaneColours {
  technique: string
  muted: string
  danger: string
}

/** Pixels between the two lines and the edges. */
const EDGE = 7

/**
 * Draws the last seconds, the page above and the server below. A coloured line is an event, from its creation to its arrival: a leaning
 * line is an event that waited. A grey line is a request, a tinted area an open connection or a held request.
 */
export function drawLane(
  canvas: CanvasRenderingContext2D,
  lane: Lane,
  now: number,
  width: number,
  height: number,
  { technique, muted, danger }: LaneColours,
): void {
  const x = (time: number): number => xOf(time, now, width)
  const [page, server] = [EDGE, height - EDGE]
  canvas.clearRect(0, 0, width, height)

  canvas.fillStyle = technique
  canvas.globalAlpha = 0.14
  for (const { from, to } of [...lane.connections, ...lane.requests])
    canvas.fillRect(x(from), page, Math.min(width, x(to)) - x(from), server - page)
  canvas.globalAlpha = 1

  canvas.strokeStyle = muted
  canvas.lineWidth = 1
  line(canvas, 0, page, width, page)
  line(canvas, 0, server, width, server)
  canvas.lineWidth = 1.5
  for (const { from } of [...lane.connections, ...lane.requests]) line(canvas, x(from), page, x(from), server)

  canvas.strokeStyle = canvas.fillStyle = technique
  for (const { made, arrived } of lane.events) {
    line(canvas, x(made), server, x(arrived), page)
    canvas.beginPath()
    canvas.arc(x(arrived), page, 2.5, 0, 2 * Math.PI)
    canvas.fill()
  }

  canvas.strokeStyle = danger
  canvas.lineWidth = 2
  for (const made of lane.lost) {
    line(canvas, x(made) - 3, server - 3, x(made) + 3, server + 3)
    line(canvas, x(made) - 3, server + 3, x(made) + 3, server - 3)
  }
  canvas.setLineDash([4, 3])
  for (const at of lane.cuts) line(canvas, x(at), 0, x(at), height)
  canvas.setLineDash([])
}

/** The event whose line is nearest to a point, if any is near. */
export function eventAt(
  { events }: Lane,
  now: number,
  width: number,
  height: number,
  point: { x: number; y: number },
): LaneEvent | null {
  // The point's relative height between the two lines.
  const up = Math.min(1, Math.max(0, (height - EDGE - point.y) / (height - 2 * EDGE)))
  const distance = ({ made, arrived }: LaneEvent): number =>
    Math.abs(xOf(made + (arrived - made) * up, now, width) - point.x)
  const nearest = events.reduce<LaneEvent | null>(
    (best, event) => (best === null || distance(event) < distance(best) ? event : best),
    null,
  )
  return nearest && distance(nearest) < 24 ? nearest : null
}

function xOf(time: number, now: number, width: number): number {
  return (1 - (now - time) / SPAN) * width
}

function line(canvas: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  canvas.beginPath()
  canvas.moveTo(x1, y1)
  canvas.lineTo(x2, y2)
  canvas.stroke()
}
