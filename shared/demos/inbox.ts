/** What both ends of the inbox agree on, and how its events change it. */

export const inboxPaths = {
  stream: '/sse/inbox',
  messages: '/sse/inbox/messages',
  read: '/sse/inbox/read',
} as const

/** Who has an inbox: letters and digits of any script. */
export const USER: RegExp = /^[\p{L}\p{N}._-]{1,32}$/u

/** An id that whoever writes may choose, so that a message that is sent again is not another one. */
export const MESSAGE_ID: RegExp = /^[\w-]{1,64}$/

export const MAX_TEXT = 1_000
/** Messages that an inbox keeps. The oldest one that was read makes room. */
export const MAX_MESSAGES = 100

export interface Message {
  id: string
  from: string
  text: string
  /** When it was written, in epoch milliseconds. */
  time: number
  read: boolean
  /** The order of the messages. */
  created: number
  /** Of the newest change: of two, the greater one is right. */
  version: number
}

/** The data of `snapshot`. */
export interface InboxSnapshot {
  messages: readonly Message[]
  /** Everything up to this version is in it. */
  version: number
  /** It was announced in place of changes, and newer ones may have come before it. */
  late?: boolean
}

/** The data of `message`. */
export interface MessageEvent {
  message: Message
  /** The id of the message that made room; null if there was room. */
  dropped: string | null
}

/** The data of `read`. */
export interface ReadEvent {
  ids: readonly string[]
  version: number
}

export type InboxEvent =
  | { event: 'snapshot'; data: InboxSnapshot }
  | { event: 'message'; data: MessageEvent }
  | { event: 'read'; data: ReadEvent }

export interface Inbox extends Omit<InboxSnapshot, 'late'> {
  /**
   * Messages that are not here, and the version at which they were read, or Infinity if they made room: two changes may be told in
   * the wrong order. The newest `MAX_MESSAGES`.
   */
  early: ReadonlyMap<string, number>
}

export const emptyInbox: Inbox = { messages: [], version: 0, early: new Map() }

/** The inbox after one more event. An event that is repeated, late or contained in the snapshot changes nothing. */
export function reduceInbox(inbox: Inbox, { event, data }: InboxEvent): Inbox {
  switch (event) {
    case 'snapshot':
      return data.late ? withLate(inbox, data) : { messages: data.messages, version: data.version, early: new Map() }
    case 'message':
      return withMessage(inbox, data)
    case 'read':
      return withRead(inbox, data)
  }
}

export function unreadOf({ messages }: Inbox): number {
  return messages.filter(({ read }) => !read).length
}

/** Of each message the newer state is right, its own or that of the snapshot. */
function withLate(inbox: Inbox, { messages, version }: InboxSnapshot): Inbox {
  if (version <= inbox.version) return inbox
  const early = new Map([...inbox.early].filter(([, at]) => at > version))
  const stored = messages.flatMap((message): Message[] => {
    const at = early.get(message.id)
    if (at === Infinity) return []
    return [at === undefined ? message : { ...message, read: true, version: at }]
  })
  let after: Inbox = { messages: stored, version, early }
  for (const message of inbox.messages)
    if (message.version > version) after = withMessage(after, { message, dropped: null })
  return after
}

function withMessage(inbox: Inbox, { message, dropped }: MessageEvent): Inbox {
  const known = inbox.messages.find(({ id }) => id === message.id)
  if (message.version <= (known?.version ?? inbox.version)) return inbox
  const early = inbox.early.get(message.id) ?? 0
  const current = early > message.version ? { ...message, read: true, version: early } : message
  const messages = [...inbox.messages.filter(({ id }) => id !== message.id && id !== dropped), current]
  return {
    ...inbox,
    messages: messages.filter(({ version }) => version < Infinity).sort((a, b) => a.created - b.created),
    early: dropped === null ? inbox.early : remembered(inbox, [dropped], Infinity),
  }
}

function withRead(inbox: Inbox, { ids, version }: ReadEvent): Inbox {
  const isRead = new Set(ids)
  const messages = inbox.messages.map((message) =>
    isRead.has(message.id) && message.version < version ? { ...message, read: true, version } : message,
  )
  for (const { id } of messages) isRead.delete(id)
  return { ...inbox, messages, early: version > inbox.version ? remembered(inbox, [...isRead], version) : inbox.early }
}

function remembered({ early }: Inbox, ids: readonly string[], version: number): Inbox['early'] {
  const news = ids.map((id) => [id, Math.max(early.get(id) ?? 0, version)] as const)
  return new Map([...early, ...news].slice(-MAX_MESSAGES))
}
