import { Child } from './child.ts'

export interface EndpointOptions {
  /** Before the answer, in milliseconds. */
  delayMs: number
  /** Reads and never answers. */
  hangs: boolean
  /** How the first {@link EndpointOptions.stallMs} of each request are spent; `null`: it is read at once. */
  stalls: 'reading nothing' | 'reading slowly' | null
  stallMs: number
  /** Keeps when each `webhook-id` arrived. */
  records: boolean
}

export interface Endpoint {
  port: number
  url: string
}

export type ReceiverMethods = {
  open(options: EndpointOptions): Promise<Endpoint>
  /** Resolves when `count` POSTs have arrived, with the times of the first and of that last one. */
  until(argument: { port: number; count: number }): Promise<{ count: number; firstMs: number; lastMs: number }>
  look(argument: { port: number }): { count: number; atMs: number; firstMs: number }
  arrivals(argument: { port: number }): (string | number)[]
  cpuMs(argument: null): number
  close(argument: { port: number }): void
}

/** Counts and times of one endpoint; times are of the machine's monotonic clock. */
export class ReceivingEndpoint {
  readonly url: string
  readonly #port: number
  readonly #child: Child<ReceiverMethods>

  constructor(child: Child<ReceiverMethods>, { port, url }: Endpoint) {
    this.#child = child
    this.#port = port
    this.url = url
  }

  until(count: number) {
    return this.#child.call('until', { port: this.#port, count })
  }

  look() {
    return this.#child.call('look', { port: this.#port })
  }

  /** When the first byte of each `webhook-id` arrived; the first time, if it came again. */
  async arrivals(): Promise<Map<string, number>> {
    const flat = await this.#child.call('arrivals', { port: this.#port })
    const arrivals = new Map<string, number>()
    for (let index = 0; index < flat.length; index += 2) {
      const id = String(flat[index])
      if (!arrivals.has(id)) arrivals.set(id, Number(flat[index + 1]))
    }
    return arrivals
  }

  close(): Promise<void> {
    return this.#child.call('close', { port: this.#port })
  }
}

export class Receiver {
  readonly #child = new Child<ReceiverMethods>('harness/receiver-process.ts')

  async open(options: Partial<EndpointOptions> = {}): Promise<ReceivingEndpoint> {
    const endpoint = await this.#child.call('open', {
      delayMs: 0,
      hangs: false,
      stalls: null,
      stallMs: 0,
      records: false,
      ...options,
    })
    return new ReceivingEndpoint(this.#child, endpoint)
  }

  /** CPU time that the process has used so far. */
  cpuMs(): Promise<number> {
    return this.#child.call('cpuMs', null)
  }

  stop(): Promise<void> {
    return this.#child.stop()
  }
}
