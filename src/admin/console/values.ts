import { type Html, html } from './html.ts'

const units = [
  { unit: 'day', seconds: 86_400 },
  { unit: 'hour', seconds: 3_600 },
  { unit: 'minute', seconds: 60 },
  { unit: 'second', seconds: 1 },
] as const

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'always', style: 'short' })

/** A time as people say it, and exactly. @param at RFC 3339; `null`: there is none. */
export function time(at: string | null): Html {
  if (at === null) return none
  const exact = at.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC')
  return html`<time datetime="${at}"><span class="relative">${ago(at)}</span> <span class="exact">${exact}</span></time>`
}

/** `3 min. ago`, `in 2 hr.` */
export function ago(at: string, now = Date.now()): string {
  const seconds = (Date.parse(at) - now) / 1_000
  if (Math.abs(seconds) < 1) return 'just now'
  const { unit, seconds: size } = units.find((one) => Math.abs(seconds) >= one.seconds) ?? units[3]
  return relative.format(Math.trunc(seconds / size), unit).replace('.', '')
}

/** `850 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  const seconds = ms / 1_000
  if (seconds < 1) return `${Math.round(ms)} ms`
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1).replace(/\.0$/, '') : Math.floor(seconds)} s`
  const whole = Math.floor(seconds)
  if (whole < 3_600) return pair(whole, 60, 'min', 1, 's')
  return whole < 86_400 ? pair(whole, 3_600, 'h', 60, 'min') : pair(whole, 86_400, 'd', 3_600, 'h')
}

function pair(seconds: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((seconds % large) / small)
  return `${Math.floor(seconds / large)} ${largeUnit}${rest === 0 ? '' : ` ${rest} ${smallUnit}`}`
}

/** In place of a value that there is not. */
export const none = html`<span class="none">–<span class="visually-hidden">none</span></span>`

const numbers = new Intl.NumberFormat('en')

/** `12,345`; `10,000+` when counting stopped there. */
export const count = (value: number, countedTo = Number.POSITIVE_INFINITY): string =>
  `${numbers.format(value)}${value >= countedTo ? '+' : ''}`
