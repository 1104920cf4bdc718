/** The process of `name-namespace.ts`: a DNS server, two receivers, and Callbox's client. */
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { AddressGuard } from '../../src/dispatcher/sending/address-guard.ts'
import { Poster, type PostResult } from '../../src/dispatcher/sending/post.ts'
import { NameResolver } from '../../src/dispatcher/sending/resolve-name.ts'
import { SystemLookup } from '../../src/dispatcher/sending/system-lookup.ts'
import { startDnsServer } from './dns-server.ts'

export type NameTask =
  | { kind: 'answers'; answers: Record<string, string[] | 'silence'> }
  | { kind: 'post'; url: string }
  | { kind: 'threads' }
  | { kind: 'kill' }

export interface NameAnswer {
  id: number
  post?: PostResult & { receivedAt: string | null; host: string | null }
  killed?: number
}

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

const names = await startDnsServer('127.0.0.53', 53)
createSocket('udp4').bind(53, '127.0.0.54')
for (const address of ['127.0.0.8', '127.0.0.9']) {
  const server = createServer((request, response) => {
    response.setHeader('connection', 'close')
    request.resume().on('end', () => response.end(`${address} ${request.headers.host}`))
  })
  await once(server.listen(80, address), 'listening')
}
const [deadlineMs] = process.argv.slice(2)
const resolver = new NameResolver(new SystemLookup(deadlineMs === undefined ? undefined : Number(deadlineMs)))
const poster = new Poster(new AddressGuard({ allowedNetworks: ['127.0.0.0/8'] }, resolver), 15_000, null, () => null)

async function perform(task: NameTask): Promise<Omit<NameAnswer, 'id'>> {
  switch (task.kind) {
    case 'answers': {
      for (const [name, list] of Object.entries(task.answers))
        names.answers.set(name, list === 'silence' ? list : [list])
      return {}
    }
    case 'post': {
      const post = await poster.post({ url: task.url, headers: [], body: Buffer.from('{}') })
      const [receivedAt = null, host = null] = post.excerpt?.toString().split(' ') ?? []
      return { post: { ...post, excerpt: null, receivedAt, host } }
    }
    case 'threads': {
      await Promise.all([readFile('/etc/hosts'), lookup('localhost')])
      return {}
    }
    case 'kill': {
      const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean)
      for (const pid of children) process.kill(Number(pid), 'SIGKILL')
      return { killed: children.length }
    }
  }
}

process.on('message', async (task: NameTask & { id: number }) => {
  process.send?.({ ...(await perform(task)), id: task.id })
})
process.send?.({ id: 0 })
