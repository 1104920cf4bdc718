/** The receiver of all contestants: accepts POSTs on loopback, counts them, and answers 200 as cheaply as Node can. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { ownCpuMs, serve } from './child.ts'
import { monotonicMs } from './clock.ts'
import { RequestFraming } from './http-framing.ts'
import type { Endpoint, EndpointOptions, ReceiverMethods } from './receiver.ts'
import { Stall } from './stall.ts'

const answer = Buffer.from('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok')

interface Counter {
  server: Server
  sockets: Set<Socket>
  count: number
  firstMs: number
  lastMs: number
  expected: number
  reached: (() => void) | null
  /** `webhook-id` and the time of its first byte, in turn. */
  arrivals: (string | number)[]
}

const counters = new Map<number, Counter>()

function counterOf(port: number): Counter {
  const counter = counters.get(port)
  if (counter === undefined) throw new Error(`nothing is open on port ${port}`)
  return counter
}

async function open({ delayMs, hangs, stalls, stallMs, records }: EndpointOptions): Promise<Endpoint> {
  const later = delayMs > 0 ? new Delay(delayMs) : null
  const server = createServer({ noDelay: true })
  const counter: Counter = {
    server,
    sockets: new Set(),
    count: 0,
    firstMs: 0,
    lastMs: 0,
    expected: Number.POSITIVE_INFINITY,
    reached: null,
    arrivals: [],
  }
  server.on('connection', (socket) => {
    counter.sockets.add(socket)
    socket.on('close', () => counter.sockets.delete(socket))
    socket.on('error', () => undefined)
    const framing = new RequestFraming()
    const stall = stalls === null ? null : new Stall(socket, stallMs, stalls === 'reading slowly')
    const onHead = (id: string): void => {
      stall?.begin()
      if (counter.count === 0) counter.firstMs = monotonicMs()
      counter.count += 1
      if (records) counter.arrivals.push(id, monotonicMs())
      if (counter.count !== counter.expected) return
      counter.lastMs = monotonicMs()
      counter.reached?.()
    }
    const respond = (): void => {
      if (!socket.destroyed) socket.write(answer)
    }
    const onEnd = hangs ? () => undefined : later === null ? respond : () => later.add(respond)
    socket.on('data', (bytes) => {
      framing.read(bytes, records, onHead, onEnd)
      stall?.hold()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  counters.set(address.port, counter)
  return { port: address.port, url: `http://127.0.0.1:${address.port}` }
}

/** One delay for all, so a queue serves; to the millisecond. */
class Delay {
  readonly #ms: number
  #queue: { atMs: number; run: () => void }[] = []
  #timer: NodeJS.Timeout | null = null

  constructor(ms: number) {
    this.#ms = ms
  }

  add(run: () => void): void {
    this.#queue.push({ atMs: performance.now() + this.#ms, run })
    this.#timer ??= setTimeout(() => this.#run(), this.#ms)
  }

  #run(): void {
    const nowMs = performance.now()
    let due = 0
    for (const { atMs, run } of this.#queue) {
      if (atMs > nowMs) break
      run()
      due += 1
    }
    this.#queue = this.#queue.slice(due)
    const next = this.#queue[0]
    this.#timer = next === undefined ? null : setTimeout(() => this.#run(), Math.max(1, next.atMs - nowMs))
  }
}

serve<ReceiverMethods>({
  open,
  async until({ port, count }) {
    const counter = counterOf(port)
    counter.expected = count
    if (counter.count < count) await new Promise<void>((resolve) => (counter.reached = resolve))
    return { count: counter.count, firstMs: counter.firstMs, lastMs: counter.lastMs || monotonicMs() }
  },
  look: ({ port }) => ({ count: counterOf(port).count, atMs: monotonicMs(), firstMs: counterOf(port).firstMs }),
  arrivals: ({ port }) => counterOf(port).arrivals,
  cpuMs: ownCpuMs,
  close({ port }) {
    const counter = counterOf(port)
    counter.server.close()
    for (const socket of counter.sockets) socket.destroy()
    counters.delete(port)
  },
})
