import { expect, test } from 'vitest'
import { ReadBudget } from '../src/dispatcher/reading/read-budget.ts'
import { Window } from '../src/dispatcher/window.ts'
import { dueDelivery } from './helpers/due-delivery.ts'

const mebibyte = 1024 * 1024
const ofBytes = (bytes: number) => dueDelivery({ bytes, payload: Buffer.alloc(0) })

test('counts POSTs until they are settled, and payloads from the read on', () => {
  const window = new Window(2, 16 * mebibyte)
  const [one, two, three] = [ofBytes(mebibyte), ofBytes(2 * mebibyte), ofBytes(4 * mebibyte)]
  for (const delivery of [one, two, three]) window.read(delivery)
  expect(window.roomBytes).toBe(9 * mebibyte)
  window.send()
  expect(window.hasRoom).toBe(true)
  window.send()
  expect(window.hasRoom).toBe(false)
  window.drop(three)
  window.settle([one, two])
  expect([window.posts, window.hasRoom, window.roomBytes]).toEqual([0, true, 16 * mebibyte])
})

test.each([
  ['large payloads', 4_097, 12, 14],
  ['small payloads', 4_096, 15, 16],
])('%s leave memory to routes that have nothing in it, and to small payloads', (_name, bytes, others, first) => {
  for (const [isFirst, limit] of [
    [false, others],
    [true, first],
  ] as const) {
    const window = new Window(1_000, 16 * mebibyte)
    window.read(ofBytes(limit * mebibyte - bytes))
    expect(window.fits(bytes, isFirst)).toBe(true)
    window.read(ofBytes(1))
    expect(window.fits(bytes, isFirst)).toBe(false)
  }
})

test.each([
  [1, 1],
  [2, 2],
  [4, 3],
  [64, 48],
  [256, 208],
  [1_000, 952],
  [20_000, 19_952],
])('of a window of %d POSTs up to %d are on probation', (posts, onProbation) => {
  expect(new Window(posts, 16 * mebibyte).maxOnProbation).toBe(onProbation)
})

test('a read brings what fits: rows by the window, bytes by the room that is left', () => {
  const window = new Window(256, 64 * mebibyte)
  const budget = new ReadBudget(window)
  expect([budget.rows, budget.bytes]).toEqual([1_024, 8 * mebibyte])
  window.read(ofBytes(62 * mebibyte))
  expect(budget.bytes).toBe(2 * mebibyte)
  window.read(ofBytes(3 * mebibyte))
  expect(budget.bytes).toBe(0)
  expect(new ReadBudget(new Window(20_000, 64 * mebibyte)).rows).toBe(20_000)
})
