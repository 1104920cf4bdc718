import { describe, expect, test } from 'vitest'
import { directionOf } from '../src/calls/call-facts.ts'
import type { Leg } from '../src/calls/call-legs.ts'
import { readCall } from '../src/calls/call-parties.ts'
import { permutations } from './helpers/permutations.ts'

const [ten, tenToo, eleven] = ['+97237000010', '+97237000020', '+97237000011']
const [customer, other, agent] = ['+972501234567', '+972505550001', '+972505550002']
const owners = new Map([
  [ten, '10'],
  [tenToo, '10'],
  [eleven, '11'],
])

/** Twilio's direction, From, To, and seconds. */
type Row = [direction: string, from: string, to: string, durationSec?: number]

const leg = ([direction, from, to, durationSec = 10]: Row, sid: string, parentCallSid: string | null): Leg => ({
  callSid: sid,
  parentCallSid,
  direction: directionOf(direction),
  from,
  to,
  status: 'completed',
  endedAt: null,
  durationSec,
  legsKnown: false,
})

/** The reading of a call and its legs, the same whatever order these are in. */
function read(root: Row, legs: Row[] = [], named: string | null = null, legsKnown = true) {
  const children = legs.map((row, index) => leg(row, `CA${index}`, 'CA'))
  const readings = permutations(children).map((order) =>
    readCall({ root: { ...leg(root, 'CA', null), legsKnown }, legs: order }, owners, named),
  )
  for (const reading of readings) expect(reading).toEqual(readings[0])
  return readings[0]
}

const is = (direction: string, businessId: string | null, from: string, to: string) => ({
  is: 'known',
  businessId,
  parties: { direction, from, to },
})

describe('a call that came in', () => {
  test.each<[string, Row, Row[]]>([
    ['alone', ['inbound', customer, ten], []],
    ['over a trunk', ['trunking-originating', customer, ten], []],
    ['over a trunk, in a URI', ['trunking-originating', `sip:${customer}@pbx`, `sip:${ten}@twilio`], []],
    ['forwarded with its caller id', ['inbound', customer, ten], [['outbound-dial', customer, agent]]],
    ['forwarded with the business’s number', ['inbound', customer, ten], [['outbound-dial', ten, agent]]],
    ['forwarded with another number of it', ['inbound', customer, ten], [['outbound-dial', tenToo, agent]]],
    ['forwarded with an unowned number', ['inbound', customer, ten], [['outbound-dial', other, agent]]],
    ['forwarded to another business', ['inbound', customer, ten], [['outbound-dial', ten, eleven]]],
    ['put through to a client', ['inbound', customer, ten], [['outbound-dial', customer, 'client:bob']]],
    ['put through to a SIP phone', ['inbound', customer, ten], [['outbound-dial', ten, 'sip:bob@pbx']]],
    [
      'transferred',
      ['inbound', customer, ten],
      [
        ['outbound-dial', ten, 'client:bob'],
        ['outbound-dial', ten, agent, 99],
      ],
    ],
  ])('%s, is the called number’s', (_what, root, legs) => {
    expect(read(root, legs)).toMatchObject(is('inbound', '10', customer, ten))
  })

  test('from another business belongs to the called one, also when its caller ID passes through', () => {
    expect(read(['inbound', eleven, ten], [['outbound-dial', eleven, agent]])).toMatchObject(
      is('inbound', '10', eleven, ten),
    )
  })

  test.each(['client:visitor', 'Anonymous', '+266696687', '+99912345678', '+1234567', ''])(
    'from %s has no phone number',
    (from) => {
      expect(read(['inbound', from, ten])).toMatchObject(is('inbound', '10', '', ten))
      expect(read(['inbound', from, ten], [['outbound-dial', ten, 'client:bob']])).toMatchObject(
        is('inbound', '10', '', ten),
      )
    },
  )

  test('and shows a number of another business is unmatched, unless another source names the business', () => {
    const legs: Row[] = [['outbound-dial', eleven, customer]]
    expect(read(['inbound', other, ten], legs)).toEqual({ is: 'disputed' })
    expect(read(['inbound', other, ten], legs, '10')).toMatchObject(is('inbound', '10', other, ten))
    expect(read(['inbound', other, ten], legs, '99')).toEqual({ is: 'disputed' })
  })
})

describe('a call that an agent placed', () => {
  test.each(['client:agent', 'sip:agent@pbx.example', 'sip:1001@pbx.example', 'sips:agent@pbx'])(
    'from %s belongs to the business whose number it shows, not to that of the dialled number',
    (from) => {
      expect(read(['inbound', from, eleven], [['outbound-dial', ten, eleven]])).toMatchObject(
        is('outbound', '10', ten, eleven),
      )
      expect(read(['inbound', from, eleven], [['outbound-dial', ten, customer]])).toMatchObject(
        is('outbound', '10', ten, customer),
      )
      expect(read(['inbound', from, ''], [['outbound-dial', ten, customer]])).toMatchObject(
        is('outbound', '10', ten, customer),
      )
      expect(read(['inbound', from, ten], [['outbound-dial', ten, customer]])).toMatchObject(
        is('outbound', '10', ten, customer),
      )
      expect(read(['inbound', from, eleven], [['outbound-dial', other, customer]])).toMatchObject({ businessId: null })
    },
  )

  test('is recognised by the number that it dials, although its SIP address contains one', () => {
    const from = `sip:${ten}@pbx.example`
    expect(read(['inbound', from, `sip:${eleven}@pbx`], [['outbound-dial', ten, eleven]])).toMatchObject(
      is('outbound', '10', ten, eleven),
    )
    expect(read(['inbound', from, customer], [['outbound-dial', ten, customer]])).toMatchObject(
      is('outbound', '10', ten, customer),
    )
  })

  test.each(['client:agent', 'sip:agent@pbx', `sip:${ten}@pbx`])('from %s waits for its legs', (from) => {
    expect(read(['inbound', from, eleven], [], null, false)).toEqual({ is: 'waiting' })
    expect(read(['inbound', from, eleven], [], null, true)).toMatchObject({ businessId: '11' })
  })

  test('to numbers of two businesses is unmatched', () => {
    const legs: Row[] = [
      ['outbound-dial', ten, customer],
      ['outbound-dial', eleven, customer],
    ]
    expect(read(['inbound', 'client:agent', other], legs)).toEqual({ is: 'disputed' })
    expect(read(['inbound', 'client:agent', other], legs, '11')).toMatchObject(is('outbound', '11', eleven, customer))
  })
})

describe('a call that went out', () => {
  test.each(['outbound-api', 'outbound-dial', 'trunking-terminating'])(
    '%s belongs to the calling number',
    (direction) => {
      expect(read([direction, ten, customer])).toMatchObject(is('outbound', '10', ten, customer))
      expect(read([direction, `sip:${ten}@pbx`, `sip:${customer}@twilio`])).toMatchObject(
        is('outbound', '10', ten, customer),
      )
    },
  )

  test.each([agent, 'client:agent', 'sip:agent@pbx.example'])(
    'first to %s: the customer is on the other leg',
    (first) => {
      expect(read(['outbound-api', ten, first], [['outbound-dial', ten, customer]])).toMatchObject(
        is('outbound', '10', ten, customer),
      )
      expect(read(['outbound-api', 'client:system', first], [['outbound-dial', ten, customer]])).toMatchObject(
        is('outbound', '10', ten, customer),
      )
    },
  )

  test.each<[string, Row]>([
    ['with the customer’s number passing through', ['outbound-dial', customer, agent]],
    ['to a client', ['outbound-dial', ten, 'client:bob']],
    ['to a SIP phone', ['outbound-dial', ten, 'sip:bob@pbx']],
    ['to a number of the business', ['outbound-dial', ten, tenToo]],
  ])('and was transferred %s stays the customer’s', (_what, transfer) => {
    expect(read(['outbound-api', ten, customer], [transfer])).toMatchObject(is('outbound', '10', ten, customer))
  })

  test('to another business, and was transferred, stays its own', () => {
    expect(read(['outbound-api', ten, eleven], [['outbound-dial', eleven, agent]])).toMatchObject(
      is('outbound', '10', ten, eleven),
    )
  })

  test('with numbers of two businesses is unmatched', () => {
    expect(read(['outbound-api', eleven, agent], [['outbound-dial', ten, customer]])).toEqual({ is: 'disputed' })
  })

  test('to an agent alone has no customer', () => {
    expect(read(['outbound-api', ten, 'client:agent'])).toMatchObject(is('outbound', '10', ten, ''))
  })
})

test('a number that a business registered is its number, whatever the numbering plan says', () => {
  const number = '+99912345678'
  const root = { ...leg(['inbound', customer, number], 'CA', null), legsKnown: true }
  expect(readCall({ root, legs: [] }, new Map([[number, '12']]), null)).toMatchObject(
    is('inbound', '12', customer, number),
  )
})

test('nothing is known of a call if only a leg is known', () => {
  expect(readCall({ root: null, legs: [leg(['outbound-dial', ten, customer], 'CA1', 'CA')] }, owners, null)).toEqual({
    is: 'unknown',
  })
})
