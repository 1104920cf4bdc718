import { maxGenerations } from '../calls/call-legs.ts'
import {
  type CallResource,
  fetchCall,
  fetchCallsOfRecording,
  fetchLegs,
  type TwilioAnswer,
  type TwilioAsker,
} from '../calls/twilio-api.ts'
import type { Config } from '../config.ts'

/** Requests to Twilio, under the account that the callback names. */
export type Question = { accountSid: string } & (
  | { about: 'call'; callSid: string; withLegs: boolean }
  /** The calls of a recording that names none. */
  | { about: 'recording'; recordingSid: string; conferenceSid: string }
)

/** Twilio's answer about a call and its legs. */
export interface ToldCall {
  /** Of the call without a parent. */
  callSid: string
  /** The leg asked about, its parents up to the call, and the call's legs if requested. */
  resources: CallResource[]
  /** Whether all its legs are among `resources`. */
  legsListed: boolean
}

export type CallAnswer = TwilioAnswer<ToldCall[]>

/** Requests under way at once. Twilio allows 100 on an account; the pipeline needs some too. */
const limit = 16
/** How many calls of one conference are examined. */
const maxCandidates = 10

/** Asks Twilio about calls, each of them once at a time however many callbacks wait for the answer. */
export class CallLookup {
  readonly #settings: Config['twilio']
  readonly #asking = new Map<string, Promise<CallAnswer>>()
  readonly #stopping = new AbortController()

  constructor(settings: Config['twilio']) {
    this.#settings = settings
  }

  /** `null`: as many requests as may be are under way; come again. */
  ask(question: Question): Promise<CallAnswer> | null {
    const key = JSON.stringify(question)
    const asked = this.#asking.get(key)
    if (asked) return asked
    if (this.#asking.size >= limit) return null
    const answer = this.#answer(question).finally(() => this.#asking.delete(key))
    this.#asking.set(key, answer)
    return answer
  }

  /** Ends all pending requests with the answer "not known now". */
  stop(): void {
    this.#stopping.abort()
  }

  async #answer(question: Question): Promise<CallAnswer> {
    const asker = { settings: this.#settings, accountSid: question.accountSid, signal: this.#stopping.signal }
    if (question.about === 'call') {
      const told = await climb(asker, question.callSid, question.withLegs)
      return told.found ? { found: true, value: [told.value] } : told
    }
    const calls = await fetchCallsOfRecording(asker, question.recordingSid, question.conferenceSid)
    if (!calls.found) return calls
    const told: ToldCall[] = []
    for (const callSid of calls.value.slice(0, maxCandidates)) {
      const one = await climb(asker, callSid, false)
      if (one.found === null) return one
      if (one.found) told.push(one.value)
    }
    return told.length > 0 ? { found: true, value: told } : { found: false }
  }
}

/** Follows a leg's parents up to the call. */
async function climb(asker: TwilioAsker, callSid: string, withLegs: boolean): Promise<TwilioAnswer<ToldCall>> {
  const resources: CallResource[] = []
  let sid = callSid
  for (let generation = 0; generation < maxGenerations; generation++) {
    const answer = await fetchCall(asker, sid)
    if (!answer.found) return answer
    resources.push({ ...answer.value, sid })
    if (answer.value.parent_call_sid !== '') {
      sid = answer.value.parent_call_sid
      continue
    }
    const legs = withLegs ? await fetchLegs(asker, sid) : null
    if (legs?.found === null) return legs
    if (legs?.found) resources.push(...legs.value.filter((leg) => resources.every((one) => one.sid !== leg.sid)))
    return { found: true, value: { callSid: sid, resources, legsListed: legs?.found === true } }
  }
  return { found: false }
}
