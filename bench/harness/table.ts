import { styleText } from 'node:util'
import type { Figure, Goal } from './bench.ts'
import { median, quantile } from './statistics.ts'

export interface Line {
  title: string
  unit: string
  goal: Goal | null
  median: number
  least: number
  most: number
  /** `null`: it has no goal. */
  met: boolean | null
  values: number[]
}

export function lineOf({ title, unit, goal, values }: Figure): Line {
  const middle = median(values)
  const met = goal && (goal.is === 'at least' ? middle >= goal.value : middle <= goal.value)
  return { title, unit, goal, median: middle, least: quantile(values, 0), most: quantile(values, 1), met, values }
}

const heads = ['figure', 'goal', 'median', 'spread', '']

/** The lines as a table for a terminal; figures to the right. */
export function printTable(lines: readonly Line[]): string {
  const cells = lines.map((line) => [
    line.title,
    line.goal === null ? '' : `${line.goal.is === 'at least' ? '≥' : '≤'} ${shown(line.goal.value, line.unit)}`,
    shownAgainst(line),
    line.values.length > 1 ? `${shown(line.least, line.unit)} – ${shown(line.most, line.unit)}` : '',
    line.met === null ? '' : line.met ? 'met' : 'missed',
  ])
  const widths = heads.map((head, column) => Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)))
  const rowOf = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return column === 0 || column === 4 ? cell.padEnd(width) : cell.padStart(width)
      })
      .join('  ')
  const rule = widths.map((width) => '─'.repeat(width)).join('  ')
  const rows = cells.map((row) => {
    const text = rowOf(row)
    return row[4] === 'missed' ? styleText('red', text) : row[4] === 'met' ? styleText('green', text) : text
  })
  return [rowOf(heads), rule, ...rows].join('\n')
}

/** With as many digits as it takes to tell a miss from its goal. */
function shownAgainst({ median: value, unit, goal, met }: Line): string {
  const text = shown(value, unit)
  return met === false && goal !== null && text === shown(goal.value, unit) ? shown(value, unit, 3) : text
}

function shown(value: number, unit: string, atLeast = 0): string {
  if (unit === '/s') return `${Math.round(value).toLocaleString('en')} /s`
  const digits = Math.max(atLeast, Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2)
  return `${value.toFixed(digits)} ${unit}`
}
