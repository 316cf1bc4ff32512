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
  'invalid-url': 'the address is not valid',
  unsupported: 'not supported by this browser',
}

export const en = {
  title: 'Server-Sent Events for Vue 3',
  tagline: 'One composable to copy into your project, one small Express server, and nothing lost in between.',
  language: '中文',
  status: {
    idle: 'Not started',
    connecting: 'Connecting …',
    open: 'Receiving',
    reconnecting: 'Reconnecting, attempt {attempt}: {reason}',
    failed: 'Failed: {reason}',
    gaveUp: 'Gave up after {attempt} attempts: {reason}',
  },
  reason,
  follow: {
    below: 'Follow the newest line',
  },
  events: {
    title: 'Events as they came',
    none: 'None yet. Press Start.',
    time: 'Time',
    event: 'Event',
    id: 'Id',
    data: 'Data',
  },
  code: {
    copy: 'Copy',
    copied: 'Copied',
  },
  timestamps: {
    title: 'Timestamps',
    intro:
      'The server sends the time once a second, thirty times, and then an event named close. Stop and Start goes on where it was; cut the connection, and the browser does the same by itself.',
    start: 'Start',
    stop: 'Stop',
    clear: 'Clear',
    output: 'Output',
    client: 'In the page',
    server: 'On the server',
  },
}

export type Messages = typeof en
