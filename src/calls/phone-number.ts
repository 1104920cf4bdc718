import { parsePhoneNumberFromString } from 'libphonenumber-js/min'

/**
 * Who is at one end of a call. `number`: E.164. `agent`: an address of a phone system that is not a phone number, such as
 * `client:bob` or `sip:bob@pbx`. `unknown`: an anonymous caller, a short code, or nothing at all.
 */
export type Party =
  | { kind: 'number'; number: string; viaSip: boolean }
  | { kind: 'agent' | 'unknown'; number: ''; viaSip: boolean }

/** Twilio's values for callers who hide their number: the digits spell words on a keypad. */
const anonymousDigits = new Set(['266696687', '7378742833', '2562533', '8656696', '86282452253'])
const anonymousNames = new Set(['anonymous', 'restricted', 'blocked', 'private', 'unavailable', 'unknown'])

/**
 * Reads a Twilio `From` or `To`: an E.164 number, alone or in a `sip:`, `sips:`, `tel:` or `whatsapp:` address with any
 * parameters (RFC 3261 §19.1, RFC 3966 §3), or something else.
 */
export function partyOf(address: string): Party {
  const text = address.trim().replace(/^.*<(.*)>.*$/s, '$1')
  const [, scheme = '', rest = ''] = text.match(/^(?:([a-z][a-z0-9+.-]*):)?(.*)$/is) ?? []
  const kind = scheme.toLowerCase()
  const viaSip = kind === 'sip' || kind === 'sips'
  const user = viaSip ? userOf(rest) : rest.replace(/[;?].*$/s, '').trim()
  if (anonymousNames.has(user.replace(/^\+/, '').toLowerCase()) && kind !== 'client') return unknown(viaSip)
  const number = ['', 'sip', 'sips', 'tel', 'whatsapp'].includes(kind) ? numberIn(user) : ''
  if (number === 'anonymous') return unknown(viaSip)
  if (number !== '') return { kind: 'number', number, viaSip }
  const isAgent = kind !== '' && kind !== 'tel' && kind !== 'whatsapp' && user !== ''
  return isAgent ? { kind: 'agent', number: '', viaSip } : unknown(viaSip)
}

/** The E.164 number that an address means; `''` if it means none. */
export const phoneNumberOf = (address: string): string => partyOf(address).number

const unknown = (viaSip: boolean): Party => ({ kind: 'unknown', number: '', viaSip })

/** The user of a SIP address; a host without a user counts as one if it is all digits (`sip:97237654321`). */
function userOf(rest: string): string {
  const at = rest.lastIndexOf('@')
  if (at < 0) return rest.match(/^\+?\d+(?=$|[:;?])/)?.[0] ?? ''
  return decoded(rest.slice(0, at).replace(/[;:].*$/s, ''))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Without a plus a short run of digits may be an extension or a national number: its country's plan must have it. */
function numberIn(user: string): string | 'anonymous' {
  const written = user.replace(/[\s().-]/g, '')
  const [, plus, digits = ''] = written.match(/^(\+|00)?([1-9]\d{6,14})$/) ?? []
  if (anonymousDigits.has(digits)) return 'anonymous'
  if (digits === '') return ''
  const number = `+${digits}`
  if (plus === undefined && digits.length < 11) return parsePhoneNumberFromString(number)?.isValid() ? number : ''
  return plus === undefined && !isDialable(number) ? '' : number
}

/** Whether an E.164 number has a country code, and a length that its country has. */
export const isDialable = (number: string): boolean => parsePhoneNumberFromString(number)?.isPossible() === true
