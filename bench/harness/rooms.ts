import type { Bench } from './bench.ts'
import type { BenchDatabase } from './database.ts'
import type { EndpointOptions, ReceivingEndpoint } from './receiver.ts'
import { thisVersion, type Version } from './version.ts'

export async function withEndpoint<T>(
  bench: Bench,
  options: Partial<EndpointOptions>,
  use: (endpoint: ReceivingEndpoint) => Promise<T>,
): Promise<T> {
  const endpoint = await bench.receiver.open(options)
  try {
    return await use(endpoint)
  } finally {
    await endpoint.close()
  }
}

export async function withDatabase<T>(
  bench: Bench,
  use: (database: BenchDatabase) => Promise<T>,
  version: Version = thisVersion,
): Promise<T> {
  const database = await bench.server.createDatabase(version)
  try {
    return await use(database)
  } finally {
    await database.drop()
  }
}
