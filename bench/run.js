/**
 * The cost of streams, compared with other servers: `npm run bench`, which writes docs/benchmarks.md. Server and load are separate
 * processes. Each round measures everything once, in turn, so that other load on the machine affects all alike; the table has medians.
 */

import { execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { argv, env, hrtime, version } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'

const [, , what = 'all', rounds = '1'] = argv
/** The module for Debian's nginx, which lacks it. It need not be installed. */
const NCHAN = env.NCHAN_MODULE ?? '/usr/lib/nginx/modules/ngx_nchan_module.so'
const here = import.meta.dirname
const MANY = 10_000

/** A started server, with the pid of the process that does the work. */
async function start(kind) {
  if (kind === 'Nchan') return startNchan()
  const server = fork(join(here, 'server.js'), [kind], { execArgv: ['--expose-gc'] })
  const [{ port }] = await once(server, 'message')
  return {
    port,
    path: '/',
    pid: server.pid,
    settle: async () => {
      server.send({ events: 0, settle: true })
      await once(server, 'message')
    },
    publish: async (events, pause) => {
      server.send({ events, pause })
      await once(server, 'message')
    },
    stop: async () => {
      server.disconnect()
      await once(server, 'exit')
    },
  }
}

async function startNchan() {
  const folder = mkdtempSync(join(tmpdir(), 'nchan-'))
  const port = 20_000 + Math.floor(Math.random() * 10_000)
  writeFileSync(
    join(folder, 'nginx.conf'),
    `load_module ${NCHAN};
     daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr crit; worker_rlimit_nofile 20000;
     events { worker_connections 15000; }
     http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
       uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s; keepalive_requests 1000000;
       server { listen 127.0.0.1:${port} backlog=4096;
         location = /publish { nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 1000; }
         location = /stream { nchan_subscriber eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest; nchan_eventsource_ping_interval 0; } } }`,
  )
  const nginx = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder], { stdio: 'inherit' })
  await sleep(1_000)
  const [worker] = readFileSync(`/proc/${nginx.pid}/task/${nginx.pid}/children`, 'utf8').trim().split(' ')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const post = (body) =>
    new Promise((resolve, reject) => {
      const options = { port, host: '127.0.0.1', path: '/publish', method: 'POST', agent }
      request(options, (answer) => answer.resume().on('end', resolve))
        .on('error', reject)
        .end(body)
    })
  return {
    port,
    path: '/stream',
    pid: Number(worker),
    settle: () => sleep(200),
    publish: async (events, pause) => {
      const posted = []
      for (let n = 1; n <= events; n++) {
        const head = `${hrtime.bigint()} `
        posted.push(post(`${head}${'.'.repeat(63 - head.length)}${n === events || pause > 0 ? '!' : '.'}`))
        if (pause > 0) await sleep(pause)
      }
      await Promise.all(posted)
    },
    stop: async () => {
      agent.destroy()
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
      rmSync(folder, { recursive: true })
    },
  }
}

const cpuOf = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000 // From ticks of 10 ms to microseconds.
}
const memoryOf = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1_024

async function withClients(kind, count, measure) {
  const server = await start(kind)
  const connect = async (count) => {
    const clients = fork(join(here, 'clients.js'), [String(server.port), server.path, String(count)])
    // Nchan sends its head with the first message.
    if (kind === 'Nchan') await server.publish(1, 1)
    await once(clients, 'message')
    await sleep(500)
    return clients
  }
  const leave = async (clients) => {
    const gone = once(clients, 'exit')
    clients.disconnect()
    await gone
  }
  // Warms up: one-time costs, such as compiled code, are not part of a stream.
  await leave(await connect(100))
  await sleep(500)
  await server.settle()
  const before = memoryOf(server.pid)
  const clients = await connect(count)
  await server.settle()
  const kilobytes = (memoryOf(server.pid) - before) / count / 1e3
  const run = async (bursts, events, pause) => {
    const marks = pause > 0 ? events : 1
    const [cpu, began] = [cpuOf(server.pid), performance.now()]
    let report
    for (let n = 0; n < bursts; n++) {
      const reported = once(clients, 'message')
      clients.send(marks * count)
      await server.publish(events, pause)
      ;[report] = await reported
    }
    const deliveries = bursts * events * count
    return {
      ...report,
      perSecond: (deliveries / (performance.now() - began)) * 1e3,
      microseconds: (cpuOf(server.pid) - cpu) / deliveries,
    }
  }
  const result = await measure(run, kilobytes)
  await leave(clients)
  await server.stop()
  return result
}

const measures = {
  async thousand(kind) {
    return withClients(kind, 1_000, async (run, kilobytes) => {
      await run(5, 200, 0)
      const burst = await run(kind === 'Nchan' ? 3 : 15, 200, 0)
      const paced = await run(1, 150, 20)
      return { kilobytes, burst: burst.perSecond, burstMicroseconds: burst.microseconds, paced: paced.microseconds }
    })
  },
  async many(kind) {
    return withClients(kind, MANY, async (run, kilobytes) => {
      await run(1, 2, 1_000)
      const { p50, p99, microseconds } = await run(1, 10, 1_000)
      return { kilobytes, p50, p99, microseconds }
    })
  },
}

const KINDS = ['ours', 'better-sse', 'express', 'node:http', 'Nchan']
const kindsOf = { thousand: KINDS, many: ['ours', 'better-sse', 'express', 'node:http'] }
const hasNchan = existsSync(NCHAN)
if (!hasNchan) console.log(`Nchan is left out: there is no ${NCHAN}. (apt-get install libnginx-mod-nchan)`)

// Compiled as in production: tsx gives every function a name, which costs a stream 1.3 kB.
const sources = join(here, '../server/sse')
const out = join(here, '../node_modules/.cache/bench')
const files = readdirSync(sources).filter((name) => !name.endsWith('.test.ts'))
const options = [
  '--ignoreConfig',
  '--outDir',
  out,
  '--rootDir',
  sources,
  '--target',
  'es2022',
  '--module',
  'nodenext',
  '--lib',
  'es2024',
  '--types',
  'node',
  '--skipLibCheck',
]
execFileSync(
  process.execPath,
  [join(here, '../node_modules/typescript/bin/tsc'), ...options, ...files.map((name) => join(sources, name))],
  { stdio: 'inherit' },
)
writeFileSync(join(out, 'package.json'), '{ "type": "module" }')

// One half may be measured now and the other later: `npm run bench -- thousand`, then `many`.
const kept = join(out, 'results.json')
const results = what === 'all' || !existsSync(kept) ? {} : JSON.parse(readFileSync(kept, 'utf8'))
if (what !== 'all') results[what] = undefined
for (const measure of what === 'all' ? Object.keys(measures) : [what]) {
  const kinds = (env.KINDS?.split(',') ?? kindsOf[measure]).filter((kind) => hasNchan || kind !== 'Nchan')
  for (let round = 0; round < Number(rounds); round++)
    for (const kind of kinds) {
      const result = await measures[measure](kind)
      console.log(
        measure,
        kind,
        JSON.stringify(result, (_key, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value)),
      )
      for (const [name, value] of Object.entries(result))
        ((results[measure] ??= {})[kind] ??= {})[name] = [...(results[measure][kind][name] ?? []), value]
    }
}

const median = (values = []) => values.toSorted((a, b) => a - b)[values.length >> 1]
const cell = (measure, kind, name, digits, unit = '') => {
  const value = median(results[measure]?.[kind]?.[name])
  return value === undefined ? '' : `${value.toFixed(digits)}${unit}`
}
const NAMES = {
  ours: 'this project, through Express',
  'better-sse': 'better-sse 0.16, through Express',
  express: 'Express, `res.write` by hand',
  'node:http': 'node:http, `res.write` by hand',
  Nchan: 'Nchan 1.3 (nginx, one worker)',
}

writeFileSync(kept, JSON.stringify(results))
if (results.thousand && results.many) {
  const million = (kind) => {
    const value = median(results.thousand[kind]?.burst)
    return value === undefined ? '' : (value / 1e6).toFixed(2)
  }
  const thousand = Object.keys(results.thousand).map(
    (kind) =>
      `| ${NAMES[kind]} | ${million(kind)} | ${cell('thousand', kind, 'burstMicroseconds', 2)} | ${cell('thousand', kind, 'paced', 1)} | ${cell('thousand', kind, 'kilobytes', 1)} |`,
  )
  const many = Object.keys(results.many).map(
    (kind) =>
      `| ${NAMES[kind]} | ${cell('many', kind, 'p50', 0)} | ${cell('many', kind, 'p99', 0)} | ${cell('many', kind, 'microseconds', 1)} | ${cell('many', kind, 'kilobytes', 1)} |`,
  )
  writeFileSync(
    join(here, '../docs/benchmarks.md'),
    `# Benchmarks

Written by \`npm run bench\` in \`bench/\` (\`npm i\` there first): medians of ${results.thousand.ours.burst.length} and ${results.many.ours.p99.length} rounds, the servers in turn. Node ${version}, ${cpus().length} cores of ${cpus()[0].model.trim()}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB,
server and load generator on the same machine, over loopback. CPU time is steadier than wall time.

## 1,000 subscribers, 64 bytes of data per event

| server | burst of 200, million deliveries per second | burst, CPU per delivery, µs | one every 20 ms, CPU per delivery, µs | memory of an idle stream, kB |
| --- | --: | --: | --: | --: |
${thousand.join('\n')}

## ${MANY.toLocaleString('en')} subscribers, one event per second

| server | median, ms | p99, ms | CPU per delivery, µs | memory of an idle stream, kB |
| --- | --: | --: | --: | --: |
${many.join('\n')}

Latency is measured from \`publish\` to the client's socket. The load generator needs about as much CPU as the server, so the figures include both.
The memory of an idle stream includes what its opening leaves in V8's young generation, which weighs more with 1,000 streams than with ${MANY.toLocaleString('en')}.
`,
  )
}
