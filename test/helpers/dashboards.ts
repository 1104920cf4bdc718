import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { dashboardFiles } from './shipped-files.ts'

const link = z.object({ title: z.string(), url: z.string() })

const graph = z.looseObject({
  id: z.int(),
  type: z.enum(['stat', 'timeseries', 'heatmap']),
  title: z.string(),
  description: z.string(),
  datasource: z.object({ type: z.literal('prometheus'), uid: z.string().regex(/^\$\{datasource\}$/) }),
  links: z.array(link).min(1),
  targets: z.array(z.object({ refId: z.string(), expr: z.string(), legendFormat: z.string().min(1) })).min(1),
  fieldConfig: z.looseObject({
    defaults: z.looseObject({
      unit: z.string(),
      thresholds: z.object({ steps: z.array(z.object({ value: z.number().nullable() })) }).optional(),
    }),
  }),
})

const row = z.object({ id: z.int(), type: z.literal('row'), title: z.string(), panels: z.array(z.never()) })

/** Of Grafana's dashboard model what is relied on here; see its documentation, "Dashboard JSON model". */
const dashboard = z.looseObject({
  uid: z.string(),
  title: z.string(),
  description: z.string(),
  links: z.array(z.looseObject({ type: z.enum(['dashboards', 'link']), title: z.string() })),
  templating: z.object({ list: z.array(z.looseObject({ name: z.string(), type: z.string() })) }),
  panels: z.array(z.discriminatedUnion('type', [graph, row])),
})

export type Dashboard = z.infer<typeof dashboard>
export type GraphPanel = z.infer<typeof graph>

/** @throws Error that names the file and the place that is not as it should be. */
export const dashboards: Dashboard[] = dashboardFiles.map((file) => {
  const parsed = dashboard.safeParse(JSON.parse(readFileSync(file, 'utf8')))
  if (!parsed.success) throw new Error(`${file}: ${z.prettifyError(parsed.error)}`)
  return parsed.data
})

export const graphsOf = ({ panels }: Dashboard): GraphPanel[] => panels.filter((panel) => panel.type !== 'row')

/** An expression as Grafana sends it when every variable stands at "All". @param rate width of `$__rate_interval`. */
export function withVariables(expr: string, rate: string): string {
  const filled = expr
    .replaceAll('$__rate_interval', rate)
    .replaceAll('$direction', '.*')
    .replaceAll('$event_type', '.*')
  if (filled.includes('$')) throw new Error(`a variable that is not known: ${filled}`)
  return filled
}
