import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { z } from 'zod'

const rules = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({
          alert: z.string().optional(),
          record: z.string().optional(),
          expr: z.string(),
          labels: z.record(z.string(), z.string()).default({}),
          annotations: z.record(z.string(), z.string()).default({}),
        }),
      ),
    }),
  ),
})

export interface AlertRule {
  name: string
  expr: string
  labels: Record<string, string>
  annotations: Record<string, string>
}

const rulesIn = (files: readonly string[]) =>
  files.flatMap((file) => rules.parse(parse(readFileSync(file, 'utf8'))).groups).flatMap((group) => group.rules)

export function alertsIn(files: readonly string[]): AlertRule[] {
  return rulesIn(files).flatMap(({ alert, ...rule }) => (alert === undefined ? [] : [{ name: alert, ...rule }]))
}

/** The scraped metrics that an expression is about, also by way of recording rules of the same files. */
export function metricsOf(expr: string, files: readonly string[]): string[] {
  const names = expr.match(/\bcallbox[\w:]*|\bup\b/g) ?? []
  const recorded = new Map(rulesIn(files).map((rule) => [rule.record, rule.expr]))
  return names.flatMap((name) => (recorded.has(name) ? metricsOf(recorded.get(name) ?? '', files) : [name]))
}
