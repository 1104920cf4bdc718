import { readFileSync } from 'node:fs'

const sample = new URL('../../test/fixtures/call.completed.json', import.meta.url)
const payloadBytes = 1_700

/** The sample event, its transcript lengthened until the whole is 1.7 KB of compact JSON. */
export const payload = padded()

function padded(): string {
  const event = JSON.parse(readFileSync(sample, 'utf8')) as { transcript: string }
  const words = 'and then the caller asked about the flat, the rent and the balcony; '
  const missing = payloadBytes - Buffer.byteLength(JSON.stringify(event))
  event.transcript += words.repeat(Math.ceil(missing / words.length)).slice(0, missing)
  return JSON.stringify(event)
}
