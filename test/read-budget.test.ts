import { expect, test } from 'vitest'
import { ReadBudget } from '../src/dispatcher/read-budget.ts'

const mebibyte = 1024 * 1024

test('what is not known yet is read a few at a time', () => {
  expect(new ReadBudget(256).rows).toBe(32)
  expect(new ReadBudget(16).rows).toBe(16)
})

test('small payloads wait in numbers, large ones by their size, and no less than a few', () => {
  const budget = new ReadBudget(16)
  budget.brought(10, 10 * 1_700)
  expect(budget.rows).toBe(64)
  budget.brought(32, 32 * mebibyte)
  expect(budget.rows).toBe(32)
  budget.brought(32, 320 * mebibyte)
  expect(budget.rows).toBe(16)
  const wide = new ReadBudget(256)
  wide.brought(10, 10 * mebibyte)
  expect(wide.rows).toBe(32)
})

test('one large read is forgotten slowly, and one that brought nothing tells nothing', () => {
  const budget = new ReadBudget(16)
  budget.brought(32, 32 * mebibyte)
  budget.brought(0, 0)
  expect(budget.rows).toBe(32)
  for (let read = 0; read < 5; read += 1) budget.brought(10, 10_000)
  expect(budget.rows).toBeGreaterThan(32)
  for (let read = 0; read < 20; read += 1) budget.brought(10, 10_000)
  expect(budget.rows).toBe(64)
})

test('one large payload among small ones changes little', () => {
  const budget = new ReadBudget(256)
  budget.brought(100, 100 * 1_700)
  budget.brought(1, mebibyte)
  expect(budget.rows).toBeGreaterThan(900)
})
