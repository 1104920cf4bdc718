import pg from 'pg'
import { expect, inject, test } from 'vitest'
import { startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase } from './helpers/database.ts'

test('with the database away every operation is 503, and works again when it is back', async () => {
  const database = await createTestDatabase()
  const api = await startAdminApi(database)
  const name = new URL(database.url).pathname.slice(1)
  const server = new pg.Client(inject('serverUrl'))
  await server.connect()
  const id = '11111111-1111-8111-8111-111111111111'
  try {
    await server.query(`alter database ${name} allow_connections false`)
    await server.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
    for (const [method, path, body] of [
      ['GET', '/admin/businesses', undefined],
      ['PUT', '/admin/businesses/1', {}],
      ['GET', '/admin/calls', undefined],
      ['PATCH', '/admin/calls/CA1', { lead_id: '1' }],
      ['POST', '/admin/calls/CA1/reprocess', undefined],
      ['GET', '/admin/callbacks', undefined],
      ['POST', '/admin/businesses/1/test-events', { direction: 'inbound' }],
      ['GET', '/admin/audit', undefined],
      ['GET', '/admin/requeues', undefined],
      ['POST', '/admin/requeues', {}],
      ['POST', '/admin/requeues', { dry_run: true }],
      ['GET', `/admin/requeues/${id}`, undefined],
      ['POST', `/admin/requeues/${id}/stop`, undefined],
      ['POST', `/admin/requeues/${id}/resume`, undefined],
      ['GET', '/admin/deliveries', undefined],
      ['GET', `/admin/deliveries/${id}`, undefined],
      ['POST', `/admin/deliveries/${id}/requeue`, undefined],
    ] as const) {
      const answer = await api.send(method, path, body)
      expect([method, path, answer.status, answer.json.status]).toEqual([method, path, 503, 503])
      expect(answer.headers.get('retry-after')).toBe('1')
    }
  } finally {
    await server.query(`alter database ${name} allow_connections true`)
    await server.end()
  }
  expect((await api.send('PUT', '/admin/businesses/1', {})).status).toBe(201)
})
