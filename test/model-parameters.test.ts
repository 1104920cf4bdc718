import { describe, expect, test } from 'vitest'
import { effortFor, effortsTaken, transcriptionParameters } from '../src/pipeline/model-parameters.ts'

describe('the effort that is sent', () => {
  test.each([
    ['gpt-6-luna', 'none'],
    ['openai/gpt-6-luna', 'none'],
    ['openai/gpt-6-luna:nitro', 'none'],
    ['gpt-6.1-terra', 'none'],
    ['gpt-6.1-sol', 'low'],
    ['gpt-5.6-luna', 'none'],
    ['gpt-5.4-mini-2026-03-17', 'none'],
    ['gpt-5.1', 'none'],
    ['gpt-5', 'low'],
    ['gpt-5-nano-2025-08-07', 'low'],
    ['o3', 'low'],
    ['o4-mini-2025-04-16', 'low'],
    ['gpt-oss:20b', 'low'],
    ['gpt-5-pro', null],
    ['gpt-5-chat-latest', null],
    ['gpt-5.2-chat-latest', null],
    ['o1-mini', null],
    ['gpt-4o', null],
    ['ft:gpt-4o-mini:our-company::B1', null],
    ['gpt-60', null],
    ['llama-3.3-70b', null],
  ])('to %s is %s unless the operator chooses', (model, effort) => {
    expect(effortFor(model, null)).toBe(effort)
  })

  test('is the one that the operator chose, or none', () => {
    expect(effortFor('gpt-6-luna', 'max')).toBe('max')
    expect(effortFor('gpt-6-luna', 'minimal')).toBeNull()
    expect(effortFor('gpt-5.1', 'xhigh')).toBeNull()
    expect(effortsTaken('gpt-5.2-pro')).toEqual(['medium', 'high', 'xhigh'])
  })
})

test.each([
  ['gpt-transcribe', { languages: ['he'] }],
  ['gpt-transcribe-2026-09-01', { languages: ['he'] }],
  ['openai/gpt-transcribe', { languages: ['he'] }],
  ['whisper-1', { language: 'he' }],
  ['gpt-4o-transcribe', { language: 'he' }],
  ['gpt-4o-transcribe-diarize', { language: 'he', chunking_strategy: 'auto' }],
  ['Systran/faster-whisper-large-v3', { language: 'he' }],
])('%s gets the language as %o', (model, parameters) => {
  expect(transcriptionParameters(model, 'he')).toEqual(parameters)
  const { language: _, languages: __, ...others } = transcriptionParameters(model, '')
  expect(transcriptionParameters(model, '')).toEqual(others)
})
