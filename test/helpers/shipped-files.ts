import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

export const prometheusConfig = join(root, 'grafana/prometheus/prometheus.yml')
export const ruleFiles = filesIn('grafana/prometheus/rules')
/** What `promtool test rules` reads: series and what they must make of the alerts. */
export const ruleTests = filesIn('test/alerts')
export const dashboardFiles = filesIn('grafana/dashboards')

function filesIn(directory: string): string[] {
  return readdirSync(join(root, directory)).map((file) => join(root, directory, file))
}
