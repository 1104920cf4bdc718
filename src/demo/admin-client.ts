import { z } from 'zod'

/** Milliseconds since the epoch. */
const time = z.iso.datetime().transform((text) => Date.parse(text))

const call = z.object({
  call_sid: z.string(),
  state: z.string(),
  error: z.string().nullable(),
  steps: z.array(z.object({ step: z.string(), finished_at: z.string().nullable(), error: z.string().nullable() })),
})

const attempt = z.object({
  id: z.string(),
  number: z.number(),
  started_at: time,
  duration_ms: z.number(),
  result: z.string(),
  status_code: z.number().nullable(),
})

const delivery = z.object({
  id: z.string(),
  call_sid: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  due_at: time.nullable(),
  attempts: z.array(attempt),
})

export type CallView = z.infer<typeof call>
export type AttemptView = z.infer<typeof attempt>
export type DeliveryView = z.infer<typeof delivery>

const deadlineMs = 15_000

/** The admin API, as an operator uses it. Every method throws for an answer that is not 2xx or not of its form. */
export class AdminClient {
  readonly #url: string
  readonly #token: string
  readonly #signal: AbortSignal

  constructor(url: string, token: string, signal: AbortSignal) {
    this.#url = url
    this.#token = token
    this.#signal = signal
  }

  async putBusiness(id: string, settings: Record<string, unknown>): Promise<void> {
    await this.#send('PUT', `/businesses/${id}`, settings)
  }

  async patchCall(callSid: string, details: Record<string, unknown>): Promise<void> {
    await this.#send('PATCH', `/calls/${callSid}`, details)
  }

  /** `null`: no callback of it has been matched yet. */
  async call(callSid: string): Promise<CallView | null> {
    const found = await this.#send('GET', `/calls/${callSid}`)
    return found === null ? null : call.parse(found)
  }

  /** Every delivery of a call, with its attempts. */
  async deliveries(callSid: string): Promise<DeliveryView[]> {
    const list = z.object({ items: z.array(z.object({ id: z.string() })) })
    const { items } = list.parse(await this.#send('GET', `/deliveries?call_sid=${callSid}`))
    return Promise.all(items.map(async ({ id }) => delivery.parse(await this.#send('GET', `/deliveries/${id}`))))
  }

  async #send(method: string, path: string, body?: Record<string, unknown>): Promise<unknown> {
    const response = await fetch(`${this.#url}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(deadlineMs)]),
    })
    if (method === 'GET' && response.status === 404) return null
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} /admin${path} was answered ${response.status}: ${text}`)
    return text === '' ? null : JSON.parse(text)
  }
}
