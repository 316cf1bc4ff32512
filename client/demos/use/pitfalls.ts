import { effectScope, ref, watch } from 'vue'
import { channelPaths } from '../../../shared/demos/channel'
import { timestampsPath } from '../../../shared/demos/timestamps'
import { useEventSource } from '../../composables/useEventSource'

/** The result of each side, shown in the texts `use.pitfalls.<name>.bare` and `.ours`. */
export interface Outcome {
  bare: string | number
  ours: string | number
}

/** Pushes a message to a channel. */
export type Push = (id: string, content: string) => Promise<void>

const REPEATED = 3

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** The number of a timestamp within its run: its ID is `<run>:<n>`. */
const numberOf = (id: string): number => Number(id.split(':')[1])

/** Three equal events in a row. How many does each side handle? */
async function repeated(push: Push): Promise<Outcome> {
  const id = `same-${crypto.getRandomValues(new Uint32Array(1)).join('')}`
  for (let n = 0; n < REPEATED; n++) await push(id, 'tick')

  const url = `${channelPaths.subscribe}?id=${id}`
  const scope = effectScope(true)
  let [bare, ours] = [0, 0]
  // A ref with the newest event, and a watcher: what most components do.
  const newest = ref('')
  const source = new EventSource(url)
  source.onmessage = ({ data }: MessageEvent<string>) => (newest.value = data)
  scope.run(() => {
    watch(newest, (data) => (bare += data === 'tick' ? 1 : 0))
    const { start, on } = useEventSource(url)
    on('message', ({ data }) => (ours += data === 'tick' ? 1 : 0))
    start()
  })
  for (let waited = 0; waited < 3_000 && (ours < REPEATED || bare === 0); waited += 50) await sleep(50)
  await sleep(300)
  source.close()
  scope.stop()
  return { bare, ours }
}

/** Stopped after two seconds, then started again. Where does each side continue? */
async function resume(): Promise<Outcome> {
  const first = { bare: 0, ours: 0 }
  const open = (): EventSource => {
    const source = new EventSource(timestampsPath)
    source.onmessage = ({ lastEventId }: MessageEvent<string>) => (first.bare ||= numberOf(lastEventId))
    return source
  }
  const scope = effectScope(true)
  let source = open()
  const stream = scope.run(() => useEventSource(timestampsPath))
  stream?.on('message', ({ id }) => (first.ours ||= numberOf(id)))
  stream?.start()
  await sleep(2_500)
  source.close()
  stream?.stop()
  first.bare = first.ours = 0
  source = open()
  stream?.start()
  for (let waited = 0; waited < 3_000 && !(first.bare && first.ours); waited += 50) await sleep(50)
  source.close()
  scope.stop()
  return first
}

/** An address that does not exist. What does each side know about the error? */
async function refusal(): Promise<Outcome> {
  const scope = effectScope(true)
  const source = new EventSource('/sse/nowhere')
  const bare = new Promise<string>((resolve) => {
    source.onerror = (event) => resolve(JSON.stringify(event))
  })
  const stream = scope.run(() => useEventSource('/sse/nowhere'))
  stream?.start()
  for (let waited = 0; waited < 5_000 && stream?.status.value !== 'failed'; waited += 50) await sleep(50)
  const { status, error } = { status: stream?.status.value ?? '', error: stream?.error.value }
  source.close()
  scope.stop()
  return { bare: await bare, ours: `${status}, ${error?.kind ?? ''} ${error?.status ?? ''}`.trim() }
}

/** Pitfalls of a bare EventSource, run against the real server. */
export const PITFALLS: readonly { name: 'repeated' | 'resume' | 'refusal'; run: (push: Push) => Promise<Outcome> }[] = [
  { name: 'repeated', run: repeated },
  { name: 'resume', run: resume },
  { name: 'refusal', run: refusal },
]
