import { type CallResource, fetchCallResource } from '../calls/twilio-api.ts'
import type { Config } from '../config.ts'

/** Twilio's answer about a call or a leg of it: `callSid` and `resource` are those of the call without a parent. */
export type CallAnswer =
  | { found: true; callSid: string; resource: CallResource }
  | { found: false }
  | { found: null; why: string }

/** Requests under way at once. Twilio allows 100 on an account; the pipeline needs some too. */
const limit = 16
/** A leg of a leg of a leg is already more than Twilio's own examples have. */
const mostGenerations = 5

/** Asks Twilio about calls, each of them once at a time however many callbacks wait for the answer. */
export class CallLookup {
  readonly #settings: Config['twilio']
  readonly #asking = new Map<string, Promise<CallAnswer>>()
  readonly #stopping = new AbortController()

  constructor(settings: Config['twilio']) {
    this.#settings = settings
  }

  /** `null`: as many requests as may be are under way; come again. */
  ask(callSid: string): Promise<CallAnswer> | null {
    const asked = this.#asking.get(callSid)
    if (asked) return asked
    if (this.#asking.size >= limit) return null
    const answer = this.#climb(callSid).finally(() => this.#asking.delete(callSid))
    this.#asking.set(callSid, answer)
    return answer
  }

  /** Those who wait are told that the answer is not known now. */
  stop(): void {
    this.#stopping.abort()
  }

  async #climb(callSid: string): Promise<CallAnswer> {
    let sid = callSid
    for (let generation = 0; generation < mostGenerations; generation++) {
      const answer = await fetchCallResource(this.#settings, sid, this.#stopping.signal)
      if (answer.found !== true) return answer
      const parent = answer.resource.parent_call_sid
      if (!parent) return { found: true, callSid: sid, resource: answer.resource }
      sid = parent
    }
    return { found: false }
  }
}
