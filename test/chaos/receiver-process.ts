/** All receivers on one port, a path for each business (`/10`). Raw sockets: a server of Node would not misbehave. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { hostileAnswers } from '../helpers/hostile-answers.ts'
import type { Misbehaviour } from './plan.ts'
import { SeededRandom } from './random.ts'
import type { Manner, ReceivedPost, ReceiverOrder, ReceiverReport } from './receiver.ts'

interface Business {
  manner: Manner
  webhook: Webhook
  misbehaviour: Misbehaviour | null
}

interface Request {
  businessId: string
  headers: Record<string, string>
  body: Buffer
}

const random = new SeededRandom(Number(process.argv[2]))
const businesses = new Map<string, Business>()
const posts: ReceivedPost[] = []
let calm = false

/** Whatever is no acceptance and does not park the route. */
const garbage = Object.values(hostileAnswers).filter(({ result, status }) => result !== 'ok' && status !== 410)
const refusals = [400, 401, 404, 429, 500, 502, 503]
const flakyShare = 0.3

const accepted = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok'
const refused = (status: number): string =>
  `HTTP/1.1 ${status} No\r\n${status === 429 ? 'retry-after: 1\r\n' : ''}content-length: 2\r\n\r\nno`

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined)
  let received = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    for (let request = takeRequest(); request !== null; request = takeRequest()) answer(socket, request)
  })
  const takeRequest = (): Request | null => {
    const end = received.indexOf('\r\n\r\n')
    if (end < 0) return null
    const [first = '', ...lines] = received.toString('latin1', 0, end).split('\r\n')
    const headers = Object.fromEntries(lines.map((line) => splitHeader(line)))
    const bodyEnd = end + 4 + Number(headers['content-length'] ?? 0)
    if (received.length < bodyEnd) return null
    const body = received.subarray(end + 4, bodyEnd)
    received = received.subarray(bodyEnd)
    return { businessId: first.split(' ')[1]?.slice(1) ?? '', headers, body }
  }
})

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}

function answer(socket: Socket, { businessId, headers, body }: Request): void {
  const business = businesses.get(businessId)
  const post: ReceivedPost = {
    id: headers['webhook-id'] ?? '',
    businessId,
    bodyHash: createHash('sha256').update(body).digest('hex'),
    verified: business !== undefined && isSigned(business.webhook, headers, body),
    atMs: Date.now(),
    answer: choose(business),
    overMs: 0,
  }
  posts.push(post)
  const over = (): void => {
    if (post.overMs === 0) post.overMs = Date.now()
  }
  socket.once('close', over)
  if (post.answer === 'hangs') return
  if (post.answer === 'resets') {
    socket.resetAndDestroy()
    return
  }
  if (post.answer === 'garbage') {
    random.pick(garbage).answer(socket)
    return
  }
  const text = post.answer === 200 ? accepted : refused(post.answer)
  const send = (): void => {
    socket.off('close', over)
    if (!socket.destroyed) socket.write(text)
    over()
  }
  if (!calm && business?.manner.startsWith('slow')) setTimeout(send, random.between(50, 600))
  else send()
}

function choose(business: Business | undefined): ReceivedPost['answer'] {
  if (business === undefined) return 404
  if (calm) return 200
  const { manner, misbehaviour } = business
  if (misbehaviour === 'fails') return random.pick(refusals)
  if (misbehaviour !== null) return misbehaviour
  return manner.endsWith('flaky') && random.next() < flakyShare ? random.pick(refusals) : 200
}

function isSigned(webhook: Webhook, headers: Record<string, string>, body: Buffer): boolean {
  try {
    webhook.verify(body, headers)
    return true
  } catch {
    return false
  }
}

function obey(order: ReceiverOrder): ReceiverReport | null {
  switch (order.order) {
    case 'businesses':
      for (const { businessId, manner, secret } of order.businesses)
        businesses.set(businessId, { manner, webhook: new Webhook(secret), misbehaviour: null })
      return null
    case 'misbehave':
    case 'behave':
      for (const businessId of order.businesses) {
        const business = businesses.get(businessId)
        if (business) business.misbehaviour = order.order === 'behave' ? null : order.misbehaviour
      }
      return null
    case 'calm':
      calm = true
      return null
    case 'count':
      return { count: posts.length }
    case 'posts':
      return { posts }
  }
}

const report = (message: ReceiverReport): void => void process.send?.(message)
process.once('disconnect', () => process.exit())
process.on('message', (order: ReceiverOrder) => {
  const answered = obey(order)
  if (answered) report(answered)
})

server.listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
report({ port: typeof address === 'object' && address !== null ? address.port : 0 })
