import { describe, expect, test } from 'vitest'
import { type CallFacts, directionOf, isFinalStatus, mergeFacts, startOf } from '../src/calls/call-facts.ts'
import { permutations } from './helpers/permutations.ts'

const unknown: CallFacts = { direction: null, from: '', to: '', status: '', endedAt: null, durationSec: null }
const ended = new Date('2025-12-10T14:23:45Z')

describe('what is known of a call', () => {
  test('is the same whatever the order and repetition of what Twilio says', () => {
    const told: CallFacts[] = [
      { ...unknown, direction: 'inbound', from: '+1', to: '+2', status: 'initiated' },
      { ...unknown, direction: 'inbound', from: '+1', to: '+2', status: 'ringing' },
      { ...unknown, direction: 'outbound', status: 'in-progress' },
      { ...unknown, status: 'completed', endedAt: ended, durationSec: 26 },
      { ...unknown, status: 'completed', endedAt: new Date(ended.getTime() - 1000), durationSec: null },
      { ...unknown, status: 'a status of the future', durationSec: 25 },
    ]
    for (const order of permutations(told)) {
      const merged = [...order, ...order.slice(0, 3)].reduce(mergeFacts, unknown)
      expect(merged).toEqual({
        direction: 'outbound',
        from: '+1',
        to: '+2',
        status: 'completed',
        endedAt: ended,
        durationSec: 26,
      })
    }
  })

  test.each(['completed', 'busy', 'failed', 'no-answer', 'canceled'])('%s is final and never goes back', (final) => {
    expect(isFinalStatus(final)).toBe(true)
    for (const status of ['', 'queued', 'initiated', 'ringing', 'in-progress']) {
      expect(isFinalStatus(status)).toBe(false)
      expect(mergeFacts({ ...unknown, status: final }, { ...unknown, status }).status).toBe(final)
    }
  })

  test('its start is its end less its length, or unknown', () => {
    expect(startOf({ ...unknown, endedAt: ended, durationSec: 26 })).toEqual(new Date('2025-12-10T14:23:19Z'))
    expect(startOf({ ...unknown, endedAt: ended })).toBeNull()
    expect(startOf({ ...unknown, durationSec: 26 })).toBeNull()
  })

  test('a direction that is not known is none, not inbound', () => {
    expect(directionOf('sideways')).toBeNull()
    expect(directionOf('Inbound')).toBeNull()
    expect(directionOf(undefined)).toBe('inbound')
    expect(directionOf('')).toBe('inbound')
  })
})
