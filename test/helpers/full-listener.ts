import { readFileSync } from 'node:fs'
import { connect, isIPv4, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { expect } from 'vitest'
import { groupsOf } from './addresses.ts'

export interface FullListener {
  port: number
  /** Resolves when a client has tried to connect without an answer; its kernel tries again after 1 s. */
  untilKnockedOn(): Promise<void>
  /** Accepts connections from now on and answers every request; waiting clients then complete their handshake. */
  open(): void
  close(): Promise<void>
}

const program = `
  const { createServer } = require('node:http')
  const { parentPort, workerData } = require('node:worker_threads')
  const gate = new Int32Array(workerData.gate)
  const server = createServer((request, response) => {
    response.setHeader('connection', 'close')
    request.resume().on('end', () => response.end('seen'))
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  server.on('connection', (socket) => socket.once('data', (data) => parentPort.postMessage({ data: data.toString('latin1') })))
  // The kernel completes two handshakes for a backlog of 1, and this thread accepts none until the gate opens.
  server.listen({ host: workerData.host, port: workerData.port, backlog: 1 }, () => {
    parentPort.postMessage({ port: server.address().port })
    Atomics.wait(gate, 0, 0)
  })
`

const synSent = '02'

/**
 * A server whose handshakes do not complete until it is opened: its backlog is full, so the kernel drops every SYN as a
 * black hole does.
 *
 * @param onData gets what each connection sends first.
 */
export async function startFullListener(
  host: string,
  port = 0,
  onData: (data: string) => void = () => undefined,
): Promise<FullListener> {
  const gate = new SharedArrayBuffer(4)
  const worker = new Worker(program, { eval: true, workerData: { gate, host, port } })
  const listening = Promise.withResolvers<number>()
  worker.on('message', (message: { port: number } | { data: string }) => {
    if ('port' in message) listening.resolve(message.port)
    else onData(message.data)
  })
  worker.on('error', listening.reject)
  const actual = await listening.promise
  const fillers: Socket[] = []
  const knocks = (): number => connecting(actual, host)
  // Until one of them waits for its handshake.
  await expect
    .poll(() => {
      if (knocks() === 0) fillers.push(connect(actual, host).on('error', () => undefined))
      return knocks()
    })
    .toBeGreaterThan(0)
  const own = knocks()
  return {
    port: actual,
    untilKnockedOn: () => expect.poll(() => knocks()).toBeGreaterThan(own),
    open() {
      Atomics.store(new Int32Array(gate), 0, 1)
      Atomics.notify(new Int32Array(gate), 0)
      for (const filler of fillers) filler.destroy()
    },
    async close() {
      for (const filler of fillers) filler.destroy()
      await worker.terminate()
    },
  }
}

/** How many sockets of this machine wait for a handshake with this server (proc_net_tcp.txt of Linux's documentation). */
function connecting(port: number, host: string): number {
  const wanted = `${inWords(host)}:${hexOf([port >> 8, port & 0xff])}`
  const rows = readFileSync(isIPv4(host) ? '/proc/net/tcp' : '/proc/net/tcp6', 'utf8').split('\n')
  return rows.filter((row) => {
    const [, , remote, state] = row.trim().split(/\s+/)
    return state === synSent && remote === wanted
  }).length
}

/** The kernel writes each 32-bit word of an address in the order of the machine, which is little-endian. */
function inWords(host: string): string {
  const bytes = isIPv4(host)
    ? host.split('.').map(Number)
    : groupsOf(host).flatMap((group) => [group >> 8, group & 0xff])
  const words = Array.from({ length: bytes.length / 4 }, (_, n) => bytes.slice(4 * n, 4 * n + 4).reverse())
  return hexOf(words.flat())
}

const hexOf = (bytes: number[]): string => Buffer.from(bytes).toString('hex').toUpperCase()
