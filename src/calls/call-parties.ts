import type { Direction } from './call-facts.ts'
import type { Family, Leg } from './call-legs.ts'
import { isDialable, type Party, partyOf } from './phone-number.ts'

/** The parties of a call: the customer is `from` of an inbound call and `to` of an outbound one; `''`: no phone number. */
export interface Parties {
  direction: Direction
  from: string
  to: string
}

/** What the legs of a call say together. `byLegs`: the call's own leg alone would give another result. */
export type Reading =
  | { is: 'known'; parties: Parties; businessId: string | null; byLegs: boolean }
  /** Two businesses have a claim, and nothing decides between them. */
  | { is: 'disputed' }
  /** A phone system placed the call, and it is not known yet whether it was connected to a customer. */
  | { is: 'waiting' }
  /** Nothing is known about the call itself. */
  | { is: 'unknown' }

interface End extends Leg {
  fromParty: Party
  toParty: Party
}

/** All phone numbers of a call and its legs, to look their owners up. */
export function numbersOf({ root, legs }: Family): string[] {
  const all = [...(root ? [root] : []), ...legs].flatMap(({ from, to }) => [partyOf(from).number, partyOf(to).number])
  return [...new Set(all)].filter((number) => number !== '')
}

/**
 * Reads a call from all of its legs:
 *
 * - inbound, from a phone: the called number's business, wherever the call is forwarded to;
 * - inbound, from an agent's client or SIP phone that dials out: outbound, of the business whose number the outgoing
 *   leg shows. The number that the agent dialled may be another business's;
 * - outbound: the calling number's business. A leg to another phone number is a click-to-call's customer, unless it
 *   shows the called number (a transfer with the caller id passing through) or calls a number of the business itself.
 *
 * @param owners the business of each number that has one.
 * @param named the business that another source names; it decides between two claims.
 */
export function readCall(family: Family, owners: ReadonlyMap<string, string>, named: string | null): Reading {
  const { root } = family
  if (root === null || root.direction === null) return { is: 'unknown' }
  const call = withParties(root)
  const outgoing = family.legs
    .filter((leg) => leg.direction === 'outbound')
    .map(withParties)
    .filter((leg) => leg.fromParty.kind === 'number')
  const ownerOf = (number: string): string | null => owners.get(number) ?? null
  const reading =
    root.direction === 'inbound'
      ? readInbound(call, outgoing, ownerOf, named)
      : readOutbound(call, outgoing, ownerOf, named)
  if (reading.is !== 'known') return reading
  // A made-up caller id is no phone number; a number that a business registered is one, whatever the plan says.
  const real = (number: string): string => (owners.has(number) || isDialable(number) ? number : '')
  const { direction, from, to } = reading.parties
  return { ...reading, parties: { direction, from: real(from), to: real(to) } }
}

type OwnerOf = (number: string) => string | null

function readInbound(call: End, outgoing: End[], ownerOf: OwnerOf, named: string | null): Reading {
  const { fromParty: from, toParty: to } = call
  const calledBusiness = ownerOf(to.number)
  const received = (byLegs: boolean): Reading => ({
    is: 'known',
    parties: { direction: 'inbound', from: from.number, to: to.number },
    businessId: calledBusiness,
    byLegs,
  })
  const fromAgent = from.kind === 'agent'
  const placed = outgoing.filter((leg) => fromAgent || (to.number !== '' && leg.toParty.number === to.number))
  if (placed.length > 0) {
    const business = only(
      placed.map((leg) => ownerOf(leg.fromParty.number)),
      named,
    )
    if (business === undefined) return { is: 'disputed' }
    const leg = customerLeg(placed.filter((one) => business === null || ownerOf(one.fromParty.number) === business))
    // A visitor's client that called the business, which put it through to an agent.
    const putThrough = fromAgent && business === calledBusiness && business !== null && leg?.toParty.number === ''
    if (putThrough) return received(true)
    const { fromParty, toParty } = leg ?? placed[0] ?? call
    return {
      is: 'known',
      parties: { direction: 'outbound', from: fromParty.number, to: toParty.number },
      businessId: business,
      byLegs: true,
    }
  }
  const callingBusiness = ownerOf(from.number)
  const mayBePlaced = fromAgent || (from.viaSip && callingBusiness !== null && callingBusiness !== calledBusiness)
  if (mayBePlaced && !call.legsKnown) return { is: 'waiting' }
  const shown = outgoing.filter((leg) => leg.fromParty.number !== from.number)
  const business = only([calledBusiness, ...shown.map((leg) => ownerOf(leg.fromParty.number))], named)
  return calledBusiness !== null && business === undefined ? { is: 'disputed' } : received(false)
}

function readOutbound(call: End, outgoing: End[], ownerOf: OwnerOf, named: string | null): Reading {
  const { fromParty: from, toParty: to } = call
  const shown = outgoing.filter((leg) => to.number === '' || leg.fromParty.number !== to.number)
  const callingBusiness = ownerOf(from.number)
  const business = only([callingBusiness, ...shown.map((leg) => ownerOf(leg.fromParty.number))], named)
  if (business === undefined) return { is: 'disputed' }
  const ours = business ?? named
  const isCustomer = ({ toParty }: End): boolean =>
    toParty.number !== '' && (ours === null || ownerOf(toParty.number) !== ours)
  const leg = customerLeg(shown.filter(isCustomer)) ?? call
  return {
    is: 'known',
    parties: { direction: 'outbound', from: leg.fromParty.number, to: leg.toParty.number },
    businessId: business,
    byLegs: business !== callingBusiness,
  }
}

/** The only business among the owners; `null`: none. `undefined`: several, and `named` is not among them. */
function only(businesses: (string | null)[], named: string | null): string | null | undefined {
  const distinct = [...new Set(businesses.filter((business) => business !== null))]
  if (distinct.length <= 1) return distinct[0] ?? null
  return distinct.find((business) => business === named)
}

/** The leg with the customer: one to a phone number before others, then the longest. */
function customerLeg(legs: End[]): End | undefined {
  const rank = (leg: End): number => (leg.toParty.number === '' ? -1 : (leg.durationSec ?? 0))
  return legs.toSorted((a, b) => rank(b) - rank(a))[0]
}

const withParties = (leg: Leg): End => ({ ...leg, fromParty: partyOf(leg.from), toParty: partyOf(leg.to) })
