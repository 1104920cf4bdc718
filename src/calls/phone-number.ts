/**
 * The E.164 number that a Twilio `From` or `To` means: SIP trunks put it in a URI (`sip:+15551234567@host`). What is
 * no such number stays as it is (`client:bob`, `sip:bob@host`, `+anonymous`).
 */
export function phoneNumberOf(address: string): string {
  return address.match(/^sips?:(\+\d{7,15})@/i)?.[1] ?? address
}
