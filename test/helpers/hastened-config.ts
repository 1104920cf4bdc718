import { parse, stringify } from 'yaml'
import { z } from 'zod'

const unitMs: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5, y: 31536e6 }
const duration = '(?:\\d+(?:ms|[smhdwy]))+'

/**
 * Rules as shipped, with every duration in them divided by `factor`: `for`, intervals of groups, and the ranges and
 * offsets of expressions. Thresholds are left as they are.
 */
export function hastenedRules(yaml: string, factor: number): string {
  return stringify(walk(parse(yaml), factor))
}

function walk(value: unknown, factor: number): unknown {
  if (Array.isArray(value)) return value.map((item) => walk(item, factor))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, changed(key, inner, factor)]))
}

function changed(key: string, value: unknown, factor: number): unknown {
  if (typeof value !== 'string') return walk(value, factor)
  if (key === 'expr') {
    return value.replace(new RegExp(`(?<=\\[|\\boffset\\s+)${duration}`, 'g'), (one) => divided(one, factor))
  }
  return key === 'for' || key === 'interval' ? divided(value, factor) : value
}

function divided(text: string, factor: number): string {
  const parts = [...text.matchAll(/(\d+)(ms|[smhdwy])/g)]
  const ms = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (unitMs[unit ?? ''] ?? Number.NaN), 0)
  return `${Math.max(1, Math.round(ms / factor))}ms`
}

const shippedConfig = z.looseObject({
  global: z.looseObject({ scrape_interval: z.string(), evaluation_interval: z.string() }),
  scrape_configs: z.array(z.looseObject({ job_name: z.string(), dns_sd_configs: z.array(z.unknown()) })),
})

/**
 * The configuration as shipped, but for two things: it scrapes and evaluates every second, and processes on this machine
 * take the place of the services of compose.yaml.
 *
 * @param targets `host:port` of the processes, by job.
 */
export function localConfig(yaml: string, targets: Readonly<Record<string, string[]>>): string {
  const config = shippedConfig.parse(parse(yaml))
  const scrape_configs = config.scrape_configs.map(({ dns_sd_configs: _, ...job }) => {
    const own = targets[job.job_name]
    if (own === undefined) throw new Error(`no targets for job ${job.job_name}`)
    return { ...job, static_configs: [{ targets: own }] }
  })
  const global = { ...config.global, scrape_interval: '1s', evaluation_interval: '1s' }
  return stringify({ ...config, global, scrape_configs })
}
