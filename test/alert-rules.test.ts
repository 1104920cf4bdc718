import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { isMissing } from './helpers/programs.ts'
import { alertsIn, metricsOf } from './helpers/rules.ts'
import { prometheusConfig, ruleFiles, ruleTests } from './helpers/shipped-files.ts'

const alerts = alertsIn(ruleFiles)

/** @throws Error with promtool's own words. */
const promtool = async (...args: string[]): Promise<string> => (await promisify(execFile)('promtool', args)).stdout

describe.skipIf(isMissing('promtool', 'prometheus'))('promtool', () => {
  test('takes the configuration and every rule file that it names', async () => {
    const said = await promtool('check', 'config', prometheusConfig)
    expect(said).toContain(`SUCCESS: ${ruleFiles.length} rule files found`)
    await promtool('check', 'rules', ...ruleFiles)
  })

  test('finds each alert firing, or silent, as the series of its tests demand', async () => {
    const said = await promtool('test', 'rules', ...ruleTests)
    expect(said.match(/SUCCESS/g)).toHaveLength(ruleTests.length)
  })
})

test('every alert is tested with series of its own that make it fire and with some that do not', () => {
  const ruleTest = z.object({
    input_series: z.array(z.object({ series: z.string() })),
    promql_expr_test: z.array(z.object({ exp_samples: z.array(z.object({ labels: z.string() })) })),
  })
  const testFile = z.object({ tests: z.array(ruleTest) })
  for (const file of ruleFiles) {
    const own = ruleTests.find((test) => basename(test) === basename(file)) ?? ''
    const { tests } = testFile.parse(parse(readFileSync(own, 'utf8')))
    for (const { name, expr } of alertsIn([file])) {
      const metrics = metricsOf(expr, [file])
      const about = tests.filter((one) => one.input_series.some(({ series }) => metrics.includes(nameOf(series))))
      const firing = about.filter((one) =>
        one.promql_expr_test.some(({ exp_samples }) =>
          exp_samples.some(({ labels }) => labels.includes(`"${name}"`) && labels.includes('"firing"')),
        ),
      )
      expect([name, firing.length > 0, about.length > firing.length]).toEqual([name, true, true])
    }
  }
})

const nameOf = (series: string): string => series.replace(/\{.*/, '')

test('every alert says how urgent it is, what is wrong, and what to do, step by step', () => {
  expect(alerts.map(({ name }) => name)).toEqual([...new Set(alerts.map(({ name }) => name))])
  for (const { name, labels, annotations } of alerts) {
    expect([name, labels['severity']]).toEqual([name, expect.stringMatching(/^(critical|warning)$/)])
    expect(Object.keys(annotations).sort()).toEqual(['description', 'runbook', 'summary'])
    expect([name, annotations['runbook']]).toEqual([name, expect.stringMatching(/^1\. (.|\n)*^2\. /m)])
  }
})
