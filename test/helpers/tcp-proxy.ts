import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { eventually } from './eventually.ts'

export interface HeldAnswer {
  /** Passes on what was held back, and what follows. */
  release(): void
  /** Cuts its connection: what was held back is never heard. */
  drop(): void
}

export interface TcpProxy {
  /** The same database, by way of the proxy. */
  databaseUrl: string
  /** Cuts what is open and refuses what is new. */
  cut(): void
  /** Passes nothing on, in either direction, and closes nothing: half-open, as when a cable is pulled. */
  freeze(): void
  /** The same for the connections that are open now; new ones get through, as after a failover. */
  freezeOpen(): void
  /** New connections lead to another server, as an address that follows the primary does. */
  redirect(databaseUrl: string): void
  /** Ends `cut` and `freeze`; what was held back arrives late. */
  restore(): void
  /** Holds back the next whole answer to a statement that contains `statement`, where it or what was asked contains `text`. */
  holdAnswer(statement: string, text: string): Promise<HeldAnswer>
  close(): Promise<void>
}

/** One direction of one connection. */
class Flow {
  readonly #to: Socket
  #held: Buffer[] = []
  #holding = false
  #ended = false

  constructor(to: Socket) {
    this.#to = to
  }

  get heldText(): string {
    return Buffer.concat(this.#held).toString('latin1')
  }

  hold(): void {
    this.#holding = true
  }

  pass(chunk: Buffer): void {
    if (this.#holding) this.#held.push(chunk)
    else this.#to.write(chunk)
  }

  end(): void {
    this.#ended = true
    if (!this.#holding) this.#to.end()
  }

  release(): void {
    this.#holding = false
    for (const chunk of this.#held.splice(0)) this.#to.write(chunk)
    if (this.#ended) this.#to.end()
  }
}

/** Parse (PostgreSQL's documentation, "Message Formats"): the name, then the text, both ended by a zero. */
const prepare = /P.{4}(callbox_[0-9a-f]+)\0([^\0]*)\0/gs
/** The end of every answer (PostgreSQL's documentation, "Message Formats", ReadyForQuery). */
const readyForQuery = /Z\0{3}.[ITE]$/s

interface Trap {
  statement: string
  text: string
  caught: { flow: Flow; client: Socket } | null
}

interface Connection {
  client: Socket
  server: Socket
  flows: Flow[]
}

/** A reset after a shutdown leaves the handle open for ever (libuv refuses it), and the process cannot end. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

/** Stands between a dispatcher and PostgreSQL, and does to their connections what networks do. */
export async function startTcpProxy(databaseUrl: string): Promise<TcpProxy> {
  let target = new URL(databaseUrl)
  const connections = new Set<Connection>()
  let state: 'open' | 'cut' | 'frozen' = 'open'
  const traps = new Set<Trap>()

  const proxy = createServer({ allowHalfOpen: true }, (client) => {
    if (state === 'cut') return reset(client)
    const server = connect({ port: Number(target.port), host: target.hostname, allowHalfOpen: true })
    const questions = new Flow(server)
    const answers = new Flow(client)
    const connection = { client, server, flows: [questions, answers] }
    connections.add(connection)
    if (state === 'frozen') for (const flow of connection.flows) flow.hold()
    let asked = ''
    // Asked what a trap is set for: its answer is looked at whole before it is passed on.
    let suspect = false
    const named = new Map<string, string>()
    client.on('data', (chunk) => {
      if (!suspect) {
        asked = withTexts(chunk.toString('latin1'), named)
        suspect = [...traps].some(({ statement }) => asked.includes(statement))
        if (suspect) answers.hold()
      }
      questions.pass(chunk)
    })
    server.on('data', (chunk) => {
      answers.pass(chunk)
      if (!suspect || !readyForQuery.test(answers.heldText)) return
      suspect = false
      const trap = [...traps].find(
        ({ statement, text }) => asked.includes(statement) && (asked + answers.heldText).includes(text),
      )
      if (trap) {
        trap.caught = { flow: answers, client }
        traps.delete(trap)
      } else if (state !== 'frozen') {
        answers.release()
      }
    })
    client.on('end', () => questions.end())
    server.on('end', () => answers.end())
    // One that was reset never says that it ends. What is held back still waits for its release.
    client.on('close', (hadError) => {
      if (hadError && state !== 'frozen') server.destroy()
      else questions.end()
    })
    server.on('close', () => answers.end())
    for (const socket of [client, server]) {
      socket.on('error', () => undefined)
      socket.on('close', () => client.destroyed && server.destroyed && connections.delete(connection))
    }
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${address.port}`

  const destroyAll = (): void => {
    for (const { client, server } of connections) {
      reset(client)
      server.destroy()
    }
  }
  return {
    databaseUrl: url.href,
    cut() {
      state = 'cut'
      destroyAll()
    },
    freeze() {
      state = 'frozen'
      for (const { flows } of connections) for (const flow of flows) flow.hold()
    },
    freezeOpen() {
      for (const { flows } of connections) for (const flow of flows) flow.hold()
    },
    redirect(databaseUrl) {
      target = new URL(databaseUrl)
    },
    restore() {
      state = 'open'
      for (const { flows } of connections) for (const flow of flows) flow.release()
    },
    async holdAnswer(statement, text) {
      const trap: Trap = { statement, text, caught: null }
      traps.add(trap)
      const { flow, client } = await eventually(`an exchange with ${text}`, () => trap.caught ?? false)
      return { release: () => flow.release(), drop: () => void client.resetAndDestroy() }
    },
    async close() {
      destroyAll()
      proxy.close()
      await once(proxy, 'close')
    },
  }
}

/** A statement that was prepared is asked for by its name alone: its text, as it was learned, is put behind. */
function withTexts(asked: string, named: Map<string, string>): string {
  for (const [, name = '', text = ''] of asked.matchAll(prepare)) named.set(name, text)
  const texts = [...named].filter(([name]) => asked.includes(name)).map(([, text]) => text)
  return [asked, ...texts].join('\0')
}
