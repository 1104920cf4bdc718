import { describe, expect, test } from 'vitest'
import { partyOf, phoneNumberOf } from '../src/calls/phone-number.ts'

const ours = '+97237654321'

describe('an address with a phone number is that number', () => {
  test.each([
    ours,
    ' 97237654321',
    '0097237654321',
    '+972 3-765-4321',
    'tel:+97237654321',
    'tel:+972-3-765-4321;ext=5',
    'TEL:+97237654321',
    'whatsapp:+97237654321',
    'sip:97237654321@example.sip.twilio.com',
    'sip:+97237654321@trunk.example:5060;transport=tls;user=phone',
    'sip:+97237654321;phone-context=example@trunk.example',
    'sips:97237654321:secret@10.0.0.1',
    'SIP:%2B97237654321@trunk.example',
    'sip:97237654321',
    '"Sales" <sip:+97237654321@trunk.example>;tag=1',
  ])('%s', (address) => {
    expect(partyOf(address)).toMatchObject({ kind: 'number', number: ours })
  })

  test.each(['+12025550123', '+15550001111', '+447700900123', '+4930901820', '+6421555123'])('%s', (number) => {
    expect(phoneNumberOf(number)).toBe(number)
  })
})

describe('what is no phone number is none', () => {
  test.each([
    ...['+266696687', '+7378742833', '+2562533', '+8656696', '+86282452253', '266696687', '86282452253'],
    ...['Anonymous', 'anonymous', 'RESTRICTED', 'Restricted', 'Unavailable', 'unknown', 'Unknown', '+anonymous', ''],
    ...['sip:anonymous@anonymous.invalid', 'sip:+266696687@trunk.example', 'sip:Restricted@x', 'tel:+266696687'],
    ...['12345', '+12345', '*2525', '+0972123456', '+1', '+', '+972123456789012345', 'whatsapp:me'],
    ...['+1800FLOWERS', 'FLOWERS', '+97237654321x', 'sip:@x', 'sip:host.example', '٩٧٢٣٧٦٥٤٣٢١'],
  ])('%s', (address) => {
    expect(partyOf(address)).toMatchObject({ kind: 'unknown', number: '' })
  })

  test.each([
    'client:agent',
    'client:+97237654321',
    'Client:Anonymous',
    'sip:agent@pbx.example',
    'sip:1001@pbx',
    'sim:DE1',
  ])('%s, but the address of a phone system', (address) => {
    expect(partyOf(address)).toMatchObject({ kind: 'agent', number: '' })
  })
})
