import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { startLoopbackServer } from '../../src/demo/loopback-server.ts'
import { eventually } from './eventually.ts'
import { hastenedRules, localConfig } from './hastened-config.ts'
import { prometheusConfig, ruleFiles } from './shipped-files.ts'

const vector = z.object({
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        value: z.tuple([z.number(), z.string().transform(Number)]),
      }),
    ),
  }),
})

const alertList = z.object({
  data: z.object({
    alerts: z.array(
      z.object({
        state: z.string(),
        labels: z.looseObject({ alertname: z.string() }),
        annotations: z.record(z.string(), z.string()),
      }),
    ),
  }),
})

export interface FiringAlert {
  name: string
  annotations: Record<string, string>
}

export interface Prometheus {
  /** The samples of an instant query, now; NaN is none. @throws Error with Prometheus's words about the query. */
  query(expr: string): Promise<{ metric: Record<string, string>; value: number }[]>
  firing(): Promise<FiringAlert[]>
  stop(): Promise<void>
}

/**
 * Debian's Prometheus on loopback, with the configuration and the rules as shipped but for what `hastened-config.ts`
 * tells.
 *
 * @param factor by which the rules are hastened.
 * @param targets `host:port` of the processes, by job.
 */
export async function startPrometheus(
  factor: number,
  targets: Readonly<Record<string, string[]>>,
): Promise<Prometheus> {
  const home = mkdtempSync(join(tmpdir(), 'callbox-prometheus-'))
  mkdirSync(join(home, 'rules'))
  writeFileSync(join(home, 'prometheus.yml'), localConfig(readFileSync(prometheusConfig, 'utf8'), targets))
  for (const file of ruleFiles) {
    writeFileSync(join(home, 'rules', basename(file)), hastenedRules(readFileSync(file, 'utf8'), factor))
  }
  const { url, port, close } = await startLoopbackServer(() => undefined)
  await close()
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(home, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(home, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  const exited = once(child, 'exit')
  let complaints = ''
  child.stderr.on('data', (chunk) => {
    complaints += chunk
  })
  const get = async (path: string): Promise<unknown> => {
    if (child.exitCode !== null) throw new Error(`Prometheus ended: ${complaints}`)
    const response = await fetch(`${url}${path}`)
    const text = await response.text()
    if (!response.ok) throw new Error(`Prometheus answered ${response.status}: ${text}`)
    return JSON.parse(text)
  }
  const stop = async (): Promise<void> => {
    process.off('exit', kill)
    child.kill('SIGKILL')
    await exited
    rmSync(home, { recursive: true, force: true })
  }
  const isReady = async (): Promise<boolean> => {
    if (child.exitCode !== null) throw new Error(`Prometheus ended: ${complaints}`)
    return fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  }
  await eventually('Prometheus is ready', isReady).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return {
    async query(expr) {
      const answer = vector.parse(await get(`/api/v1/query?${new URLSearchParams({ query: expr })}`))
      return answer.data.result
        .map(({ metric, value: [, value] }) => ({ metric, value }))
        .filter(({ value }) => !Number.isNaN(value))
    },
    async firing() {
      const { alerts } = alertList.parse(await get('/api/v1/alerts')).data
      return alerts
        .filter(({ state }) => state === 'firing')
        .map(({ labels, annotations }) => ({ name: labels.alertname, annotations }))
    },
    stop,
  }
}
