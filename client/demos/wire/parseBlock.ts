import { createParser } from 'eventsource-parser'

/** What a line of a block means to the page. */
export interface Outcome {
  kind: 'event' | 'id' | 'retry' | 'comment' | 'ignored'
  text: string
}

/** Interprets the text of a stream by the rules of section 9.2.6 of the HTML standard. */
export function outcomesOf(text: string): Outcome[] {
  const outcomes: Outcome[] = []
  const parser = createParser({
    onId: (id) => outcomes.push({ kind: 'id', text: JSON.stringify(id) }),
    onEvent: ({ event = 'message', data }) =>
      outcomes.push({ kind: 'event', text: `${event} ${JSON.stringify(data)}` }),
    onRetry: (delay) => outcomes.push({ kind: 'retry', text: `${delay} ms` }),
    onComment: (comment) => outcomes.push({ kind: 'comment', text: comment }),
    onError: ({ line }) => outcomes.push({ kind: 'ignored', text: line ?? '' }),
  })
  parser.feed(text)
  return outcomes
}
