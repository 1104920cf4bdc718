import type OpenAI from 'openai'
import type { Config } from '../config.ts'
import { type Fault, judgeFailure, serviceName } from './fault-table.ts'
import { whyTooLarge } from './long-fetch.ts'
import { done, type ModelStep, type Outcome, type Setback, setBack } from './outcome.ts'
import type { Pause } from './pause.ts'
import { retryQuickly } from './quick-retry.ts'
import { type OptionalPart, partToBlame, ServerMemory } from './server-memory.ts'
import { createServiceClient, serviceUrl } from './service-client.ts'
import { readFailure } from './service-failure.ts'
import type { ServiceHold } from './service-hold.ts'

/** One thing that the model service does for a call. */
export interface ModelRequest<T> {
  step: ModelStep
  model: string
  /** The parts that are sent unless the server refuses them. `json_object` replaces `json_schema`. */
  optional: readonly OptionalPart[]
  /** The business's language, `''` without one. */
  language: string
  /** The result when there is nothing to transcribe. */
  silence?: T
  /** @param parts those of `optional` to send. @throws the client's errors. */
  send(client: OpenAI, parts: ReadonlySet<OptionalPart>): Promise<Outcome<T>>
}

interface Dependencies {
  settings: Config['openai']
  pause: Pause
  hold: ServiceHold
  quickRetryMs: number
}

/**
 * Sends the requests of all calls to one model service. It omits parameters that the server rejects, pauses when the
 * service asks for it, and turns failures into setbacks by the table in fault-table.ts.
 */
export class ModelRequests {
  readonly #client: OpenAI | null
  readonly #baseUrl: string
  readonly #memory = new ServerMemory()
  readonly #pause: Pause
  readonly #hold: ServiceHold
  readonly #quickRetryMs: number

  constructor({ settings, pause, hold, quickRetryMs }: Dependencies) {
    this.#baseUrl = serviceUrl(settings)
    this.#client = createServiceClient(settings)
    this.#pause = pause
    this.#hold = hold
    this.#quickRetryMs = quickRetryMs
  }

  async ask<T>(request: ModelRequest<T>, signal: AbortSignal): Promise<Outcome<T>> {
    const client = this.#client
    const { step } = request
    if (client === null) {
      return setBack({ kind: 'refused', step, error: 'OPENAI_API_KEY is not set: set it, or OPENAI_BASE_URL' })
    }
    const attempt = async (): Promise<Outcome<T>> => {
      const { heldMs, leave } = await this.#hold.enter(signal)
      if (heldMs > 0) return setBack({ kind: 'held', error: heldError(step, heldMs), afterMs: heldMs })
      try {
        return await this.#sendWhatIsTaken(client, request, signal)
      } finally {
        leave()
      }
    }
    return retryQuickly(attempt, this.#quickRetryMs, signal)
  }

  async #sendWhatIsTaken<T>(client: OpenAI, request: ModelRequest<T>, signal: AbortSignal): Promise<Outcome<T>> {
    const { step, model, language } = request
    const server = `${this.#baseUrl} ${model}`
    const valueIn = (part: OptionalPart): string => (part === 'language' ? language : '')
    const parts = new Set(request.optional.filter((part) => !this.#memory.lacks(server, part, valueIn(part))))
    const refused: OptionalPart[] = []
    while (true) {
      const startedAt = performance.now()
      try {
        const outcome = await request.send(client, parts)
        this.#answered(step, startedAt)
        for (const part of refused) this.#memory.learn(server, part, valueIn(part))
        return outcome
      } catch (error) {
        if (signal.aborted) return setBack({ kind: 'interrupted' })
        const tooLarge = whyTooLarge(error)
        if (tooLarge !== null) return setBack({ kind: 'hopeless', error: tooLarge })
        const failure = readFailure(error)
        const { fault, error: sentence, isUnexplained, fittingShare } = judgeFailure(failure, step)
        const sent = [...parts].filter((part) => part !== 'json_object' || !parts.has('json_schema'))
        const part =
          fault === 'settings' || fault === 'outage'
            ? (partToBlame(failure, sent) ?? (isUnexplained ? sent[0] : undefined))
            : undefined
        if (part !== undefined) {
          parts.delete(part)
          refused.push(part)
          continue
        }
        if (fault === 'silence' && request.silence !== undefined) {
          this.#answered(step, startedAt)
          return done(request.silence)
        }
        if (fittingShare !== null) {
          this.#answered(step, startedAt)
          return setBack({ kind: 'hopeless', error: sentence, fittingShare })
        }
        return setBack(await this.#setbackOf(fault, sentence, failure.retryAfterMs, step, startedAt))
      }
    }
  }

  async #setbackOf(
    fault: Fault,
    error: string,
    retryAfterMs: number | undefined,
    step: ModelStep,
    startedAt: number,
  ): Promise<Setback> {
    switch (fault) {
      case 'settings':
        return { kind: 'refused', step, error }
      case 'outage':
        return { kind: 'outage', error }
      case 'rate limit':
        return { kind: 'held', error, afterMs: await this.#hold.limited(retryAfterMs) }
      case 'audio':
        this.#answered(step, startedAt)
        return { kind: 'unreadable', error }
      case 'answer':
        this.#answered(step, startedAt)
        return { kind: 'unusable', error }
      case 'silence':
      case 'call':
        this.#answered(step, startedAt)
        return { kind: 'hopeless', error }
    }
  }

  /** The service works with these settings, whatever it says about the call. */
  #answered(step: ModelStep, startedAt: number): void {
    this.#hold.answered()
    this.#pause.answered(step, startedAt)
  }
}

const heldError = (step: ModelStep, heldMs: number): string =>
  `the ${serviceName(step)} limits its rate: no request is sent to it until ${new Date(Date.now() + heldMs).toISOString()}`
