import type { RequestHandler } from 'express'
import type { Metrics } from '../telemetry/metrics.ts'

const doors = ['api', 'console'] as const

/** Counts answers of the admin API and of the console's sign-in that refuse a token, or whoever tried too many. */
export function countRefusedSignIns({ signInsRefused }: Pick<Metrics, 'signInsRefused'>): RequestHandler {
  // Told from the start, so that the first one is seen as a rise.
  for (const door of doors) signInsRefused.inc({ door }, 0)
  return (request, response, next) => {
    const door = doorOf(request.path)
    response.once('finish', () => {
      if (door && (response.statusCode === 401 || response.statusCode === 429)) signInsRefused.inc({ door })
    })
    next()
  }
}

function doorOf(path: string): (typeof doors)[number] | null {
  if (path.startsWith('/admin/')) return 'api'
  return path === '/console/sign-in' ? 'console' : null
}
