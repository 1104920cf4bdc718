import express from 'express'
import { expect, test } from 'vitest'
import { countRefusedSignIns } from '../src/admin/refused-sign-ins.ts'
import { startLoopbackServer } from '../src/demo/loopback-server.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { eventually } from './helpers/eventually.ts'
import { metricValues } from './helpers/metric-values.ts'

test('refusals of the admin API and of the sign-in are counted by door, other answers are not', async () => {
  const metrics = createMetrics()
  const app = express().use(countRefusedSignIns(metrics))
  app.use((request, response) => void response.sendStatus(Number(request.get('answer'))))
  const server = await startLoopbackServer(app)
  const refusals = async () => {
    const told = await metricValues(metrics)
    return ['api', 'console'].map((door) => told[`callbox_admin_sign_ins_refused_total{door="${door}"}`])
  }
  expect(await refusals()).toEqual([0, 0])
  for (const [path, answer] of [
    ['/admin/routes', '200'],
    ['/admin/routes/1/inbound/park', '404'],
    ['/webhook/call_status', '401'],
    ['/console/sign-in', '303'],
    ['/console/sign-in', '401'],
    ['/console/sign-in', '429'],
    ['/admin/businesses/10', '401'],
  ] as const) {
    await fetch(`${server.url}${path}`, { method: 'POST', headers: { answer }, redirect: 'manual' })
  }
  await eventually('three refusals are counted', async () => String(await refusals()) === '1,2')
  await server.close()
})
