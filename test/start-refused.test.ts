import { expect, test } from 'vitest'
import { createTestDatabase } from './helpers/database.ts'
import { spawnService } from './helpers/service-process.ts'

const database = await createTestDatabase()

test('a database that there is not ends the start with one line; it is no outage that would pass', async () => {
  const url = new URL(database.url)
  url.pathname = '/nowhere'
  const service = spawnService(['dispatcher'], url.href)
  await expect(service.ready()).rejects.toThrow(
    'DATABASE_URL: the database refuses it: database "nowhere" does not exist',
  )
  expect(await service.exited()).toBe(1)
})
