import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type CompletedCall, callCompletedPayload } from '../src/calls/call-completed-event.ts'
import { callTimes } from '../src/calls/call-times.ts'

const fixture = readFileSync(new URL('./fixtures/call.completed.json', import.meta.url), 'utf8')

const sample: CompletedCall = {
  businessId: '10',
  callSid: 'CA9dd13ec4fcb895203d2162ca7e0297fc',
  completedAt: new Date('2025-12-10T14:23:45.999Z'),
  direction: 'inbound',
  fromNumber: '+972501234567',
  toNumber: '+97237654321',
  startedAt: new Date('2025-12-10T14:23:19Z'),
  endedAt: new Date('2025-12-10T14:23:45Z'),
  durationSec: 26,
  transcript: 'היי, זה אתר הנדל״ן, במה אפשר לעזור?',
  summary: '### סוג הפנייה והתחום\nשיווק נכס בבית שאן',
  city: 'בית שאן',
  serviceCategory: 'שיווק נכס',
  leadId: '123',
  customerName: '',
  agentName: 'Assistant',
  metadata: '{}',
}

test('the sample, byte for byte', () => {
  expect(callCompletedPayload(sample)).toBe(fixture)
})

test('phone is the called number on an outbound call', () => {
  const payload = JSON.parse(callCompletedPayload({ ...sample, direction: 'outbound' }))
  expect(payload).toMatchObject({ direction: 'outbound', phone: '+97237654321' })
})

test('the metadata keeps its keys, their order and its numbers, without white space outside of strings', () => {
  const metadata =
    '{ "b": 1.0,\n\t"2": "a  \\" : b\\\\",  "1": [12345678901234567890, { "ä 😀": null } ],\r\n"b": " x " }'
  const payload = callCompletedPayload({ ...sample, metadata })
  const kept = '{"b":1.0,"2":"a  \\" : b\\\\","1":[12345678901234567890,{"ä 😀":null}],"b":" x "}'
  expect(payload.endsWith(`,"agent_name":"Assistant","metadata":${kept}}`)).toBe(true)
  expect(() => JSON.parse(payload)).not.toThrow()
})

test('times come from the call, and what it lacks from its recording', () => {
  const at = (seconds: number) => new Date(Date.UTC(2025, 11, 10, 14, 23, seconds))
  const nothing = {
    started_at: null,
    ended_at: null,
    duration_sec: null,
    recording_started_at: null,
    recording_duration_sec: null,
    recorded_at: at(50),
  }
  const recording = { recording_started_at: at(20), recording_duration_sec: 24 }
  expect(callTimes({ ...nothing, ...recording, started_at: at(19), ended_at: at(45), duration_sec: 26 })).toEqual({
    startedAt: at(19),
    endedAt: at(45),
    durationSec: 26,
  })
  expect(callTimes({ ...nothing, ...recording })).toEqual({ startedAt: at(20), endedAt: at(44), durationSec: 24 })
  expect(callTimes({ ...nothing, ...recording, ended_at: at(45) })).toEqual({
    startedAt: at(20),
    endedAt: at(45),
    durationSec: 25,
  })
  expect(callTimes({ ...nothing, recording_duration_sec: 24 })).toEqual({
    startedAt: at(26),
    endedAt: at(50),
    durationSec: 24,
  })
  expect(callTimes(nothing)).toEqual({ startedAt: at(50), endedAt: at(50), durationSec: 0 })
})
