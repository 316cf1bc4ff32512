import type { EventSourceReason } from '../composables/useEventSource'

const reason: Record<EventSourceReason, string> = {
  stopped: 'Stopped by you',
  finished: 'Finished by the server',
  'no-content': 'The server has nothing more',
  ended: 'Ended by the server',
  network: 'connection lost',
  refused: 'refused by the server',
  http: 'refused by the server',
  'content-type': 'the server sent no event stream',
  timeout: 'the server fell silent',
  'invalid-url': 'the address is not valid',
  unsupported: 'not supported by this browser',
}

export const en = {
  title: 'Server-Sent Events for Vue 3',
  tagline: 'One composable to copy into your project, one small Express server, and nothing lost in between.',
  language: '中文',
  pages: 'Demos',
  next: 'Next: {title}',
  notFound: {
    title: 'There is no such page',
    text: 'Nothing is at this address:',
    home: 'To the first demo',
  },
  status: {
    idle: 'Not started',
    connecting: 'Connecting …',
    open: 'Receiving',
    reconnecting: 'Reconnecting, attempt {attempt}: {reason}',
    failed: 'Failed: {reason}',
    gaveUp: 'Gave up after {attempt} attempts: {reason}',
    in: 'in {seconds} s',
  },
  reason,
  trouble: {
    offline: 'This device is offline. The stream goes on where it was as soon as the network is back.',
    network:
      'The server does not answer: it was stopped, is being restarted, or something between is broken. The stream goes on where it was as soon as it is back.',
    refused:
      'The server answered, but not with a stream. EventSource hides why: it may have as many streams as it allows (503), or no stream at this address (404). The fetch transport would tell.',
    http: 'The server answered with status {status}. {message}',
    timeout: 'The server has been silent for too long, so the connection counts as dead and is made anew.',
  },
  follow: {
    below: '{lines} more below',
  },
  events: {
    title: 'Events as they came',
    none: 'None yet. Press Start.',
    time: 'Time',
    event: 'Event',
    id: 'Id',
    data: 'Data',
  },
  stream: {
    start: 'Start',
    now: 'Try now',
    stop: 'Stop',
    clear: 'Clear',
    output: 'Output',
  },
  push: {
    content: 'Content',
    push: 'Push',
    over: 'Over',
    token: 'The server asks for its push token:',
  },
  code: {
    copy: 'Copy',
    copied: 'Copied',
    notCopied: 'The browser did not allow it: select the code and copy it by hand.',
    all: 'Show all {lines} lines',
    less: 'Show less',
    client: 'In the page',
    server: 'On the server',
  },
  timestamps: {
    title: 'Timestamps',
    intro:
      'A server-sent event stream is an HTTP response that does not end. The server writes short blocks of text into it, the browser gives each to the page as an event, and when the connection is lost the browser makes a new one and tells the server which event it saw last.\nHere the server sends the time once a second, thirty times, and then an event named close. Stop and Start goes on where it was; cut the connection, and the browser does the same by itself.',
  },
  emitter: {
    title: 'Emitter',
    intro:
      'An emitter is one response and its life. This one sends ten messages, one a second, and may take ten seconds. However it ends, the server hears of it exactly once: also when you press Stop.',
    ending: 'How it ends',
    complete: 'complete',
    fail: 'an error after the third message',
    hang: 'silence after the third message, until the timeout',
    log: 'What the server called back',
  },
  byHand: {
    title: 'By hand',
    intro:
      'A response that is kept open and lines that are written to it: is that not enough? Push a line. The raw text shows it, but EventSource shows nothing, because an event is data: in front and an empty line behind. Push one that is framed. Over ends the response, but nothing has told the browser that it is finished: it comes back.',
    framed: 'Push it framed',
    raw: 'The raw text of the response',
  },
  channel: {
    title: 'Channel',
    intro:
      'Everyone who is subscribed to an id gets what is pushed to it, also in another tab. What was pushed before anyone listened is kept. Over ends it for all.',
    id: 'Id',
    idHelp: '1 to 64 of the characters A-Z, a-z, 0-9, . _ ~ -',
  },
  reconnect: {
    title: 'Reconnect',
    intro:
      'The server ends every connection after a second, and asks the browser to come back a second later. Each opens with 连接成功. Meanwhile the page pushes a number every 0.4 s: none is missing.',
  },
  wire: {
    title: 'Wire format',
    intro:
      'The same stream, requested twice: on the left as it is, on the right as EventSource understands it. A stream is text: lines of field: value, and an empty line that ends an event.',
    raw: 'The bytes of the stream',
    try: 'Type a block, and see what comes of it',
    event: 'an event:',
    id: 'the id is now',
    retry: 'the delay before reconnecting is now',
    comment: 'a comment, which nobody sees:',
    ignored: 'ignored:',
    none: 'No event: there is none without data: and an empty line.',
  },
}

export type Messages = typeof en
