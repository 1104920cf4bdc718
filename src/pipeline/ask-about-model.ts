import type OpenAI from 'openai'
import { z } from 'zod'
import { readAnswerBody } from './answers/answer-body.ts'
import { readFailure, type ServiceFailure } from './service-failure.ts'

const deadlineMs = 15_000

/**
 * - `known`: the service has the model. `shutdownDate` as `YYYY-MM-DD`; `null`: none is announced.
 * - `unknown`: the service says that it does not have the model.
 * - `untold`: the service does not support this request.
 * - `trouble`: the request failed, and may succeed later.
 */
export type WordOnModel =
  | { kind: 'known'; shutdownDate: string | null }
  | { kind: 'unknown' }
  | { kind: 'untold' }
  | { kind: 'trouble'; status: number | null }

/** OpenAI sends a date; a time of day and Unix seconds are read too. */
const shutdownDate = z
  .union([
    z
      .string()
      .regex(/^\d{4}-\d{2}-\d{2}/)
      .transform((text) => text.slice(0, 10))
      .pipe(z.iso.date()),
    z
      .int()
      .positive()
      .max(253_402_300_799)
      .transform((seconds) => new Date(seconds * 1_000).toISOString().slice(0, 10)),
  ])
  .nullish()
  .catch(null)
const model = z.object({ shutdown_date: shutdownDate })

/** Asks `GET /v1/models/{model}`. @param signal ends it, with `trouble`. */
export async function askAboutModel(client: OpenAI, name: string, signal: AbortSignal): Promise<WordOnModel> {
  try {
    const options = { signal: AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]), timeout: deadlineMs }
    const body = await readAnswerBody(await client.models.retrieve(name, options).asResponse())
    const told = model.safeParse(body.json)
    return told.success ? { kind: 'known', shutdownDate: told.data.shutdown_date ?? null } : { kind: 'untold' }
  } catch (error) {
    const failure = readFailure(error)
    if (isUnknown(failure)) return { kind: 'unknown' }
    const { status } = failure
    const isPassing = status === null || status >= 500 || [401, 402, 403, 407, 408, 409, 425, 429].includes(status)
    return isPassing && status !== 501 ? { kind: 'trouble', status } : { kind: 'untold' }
  }
}

/** Whether a refusal is about the model: a server without the route answers 404 too. */
function isUnknown({ status, isStructured, code, param, message }: ServiceFailure): boolean {
  if (!isStructured || status === null || ![400, 403, 404, 410, 422].includes(status)) return false
  if (/model[_ ]?(not[_ ]?found|deprecated|decommissioned)/.test(code) || (param === 'model' && status !== 403))
    return true
  // A path may end with the model's name: "Not found: /v1/models/my-model".
  const words = message.replace(/\S*\/v\d\S*|\bGET\s+\S+|\S*\/models\/\S*/g, ' ')
  return (
    /\bmodel\b.*(does not exist|doesn't exist|not found|not exist|unknown|deprecated|decommissioned|no longer)/i.test(
      words,
    ) || /(unknown|no such|could not find|cannot find)\s+(the\s+)?model\b/i.test(words)
  )
}
