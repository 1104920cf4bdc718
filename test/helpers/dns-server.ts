import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'
import type { NameLookup } from '../../src/dispatcher/sending/resolve-name.ts'
import { SystemLookup } from '../../src/dispatcher/sending/system-lookup.ts'
import { groupsOf } from './addresses.ts'

export interface DnsServer {
  /** What a name resolves to, one list a question; the last stands. `'silence'`: it is never answered. */
  answers: Map<string, string[][] | 'silence'>
  /** Names that were asked for, once for each time that their addresses were wanted. */
  questions: string[]
  /** Where it listens, as Node's DNS client takes it. */
  address: string
  close(): void
}

const typeA = 1
const typeAaaa = 28

/** A DNS server on loopback; it knows no other names than its own. */
export async function startDnsServer(host = '127.0.0.1', port = 0): Promise<DnsServer> {
  const answers: DnsServer['answers'] = new Map()
  const questions: string[] = []
  const current = new Map<string, string[]>()
  const socket = createSocket('udp4')
  socket.on('message', (message, from) => {
    const labels: string[] = []
    let at = 12
    for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
      labels.push(message.subarray(at + 1, at + 1 + length).toString())
      at += 1 + length
    }
    const name = labels.join('.').toLowerCase()
    const type = message.readUInt16BE(at + 1)
    const lists = answers.get(name)
    if (lists === 'silence') return
    // Both families are asked for, the A record first: one list answers both.
    if (type === typeA) {
      questions.push(name)
      current.set(name, (lists && (lists.length > 1 ? lists.shift() : lists[0])) ?? [])
    }
    const records = (current.get(name) ?? []).filter((address) => isIPv4(address) === (type === typeA)).map(bytesOf)
    const head = Buffer.from(message.subarray(0, at + 5))
    head.writeUInt16BE(lists ? 0x8180 : 0x8183, 2)
    head.writeUInt16BE(records.length, 6)
    head.writeUInt32BE(0, 8)
    const bodies = records.map((data) => {
      const record = Buffer.alloc(12)
      record.writeUInt16BE(0xc00c, 0)
      record.writeUInt16BE(data.length === 4 ? typeA : typeAaaa, 2)
      record.writeUInt16BE(1, 4)
      record.writeUInt16BE(data.length, 10)
      return Buffer.concat([record, data])
    })
    socket.send(Buffer.concat([head, ...bodies]), from.port, from.address)
  })
  socket.bind(port, host)
  await once(socket, 'listening')
  return {
    answers,
    questions,
    address: `${host}:${socket.address().port}`,
    close: () => void socket.close(),
  }
}

/** Asks this server, the A record first; names without a dot are the system's. `names.test.ts` has getaddrinfo itself. */
export function dnsLookup(server: DnsServer): NameLookup {
  const system = new SystemLookup()
  const resolver = new Resolver()
  resolver.setServers([server.address])
  return {
    async lookup(name) {
      if (!name.includes('.')) return system.lookup(name)
      const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
      const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
      if (addresses.length > 0) return addresses.map((address) => ({ address, family: isIPv4(address) ? 4 : 6 }))
      throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' })
    },
    close() {
      system.close()
      resolver.cancel()
    },
  }
}

function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const bytes = Buffer.alloc(16)
  for (const [n, group] of groupsOf(address).entries()) bytes.writeUInt16BE(group, 2 * n)
  return bytes
}
