import { styleText } from 'node:util'
import type { DemoCall } from './scenario.ts'

const colours = ['cyan', 'magenta', 'yellow', 'green', 'blue', 'red', 'white'] as const

export const good = (text: string): string => styleText('green', text)
export const bad = (text: string): string => styleText('red', text)
export const dim = (text: string): string => styleText('dim', text)
export const bold = (text: string): string => styleText('bold', text)

const write = (text: string): void => void process.stdout.write(text)

export const line = (text = ''): void => write(`${text}\n`)
export const heading = (text: string): void => line(`\n${bold(text)}`)

/** Says what is being done, and when it is done, how long it took. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begun = performance.now()
  write(`  ${what} … `)
  try {
    const result = await work()
    line(`${good('✓')} ${dim(seconds(performance.now() - begun))}`)
    return result
  } catch (error) {
    line(bad('✗'))
    throw error
  }
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

const tagOf = (call: DemoCall): string => {
  const colour = colours[(call.number - 1) % colours.length] ?? 'white'
  return styleText(colour, `${call.number} ${call.business.name.padEnd(14)}`)
}

/** One line of the story of a call, at `ms` after the first. */
export function callLine(ms: number, call: DemoCall, text: string): void {
  line(`${dim(seconds(ms).padStart(8))}  ${tagOf(call)} ${text}`)
}

/** A call that is about to be played. */
export function introduceCall(call: DemoCall): void {
  const direction = call.direction === 'inbound' ? 'inbound ' : 'outbound'
  line(`  ${tagOf(call)} ${direction}  ${dim(call.story)}`)
}

/** Name, figure and remark, one row a line; figures are aligned to the right. */
export function table(rows: readonly (readonly [name: string, figure: number, remark: string])[]): void {
  const nameWidth = Math.max(...rows.map(([name]) => name.length))
  const figureWidth = Math.max(...rows.map(([, figure]) => String(figure).length))
  const rule = dim(`  ${'─'.repeat(nameWidth + figureWidth + 4)}`)
  line(rule)
  for (const [name, figure, remark] of rows) {
    const note = remark === '' ? '' : `   ${dim(remark)}`
    line(`  ${name.padEnd(nameWidth)}    ${bold(String(figure).padStart(figureWidth))}${note}`)
  }
  line(rule)
}

/** Names and what they stand for, one pair a line. */
export function facts(pairs: readonly (readonly [name: string, value: string])[]): void {
  const width = Math.max(...pairs.map(([name]) => name.length))
  for (const [name, value] of pairs) line(`  ${dim(name.padEnd(width))}  ${value}`)
}
