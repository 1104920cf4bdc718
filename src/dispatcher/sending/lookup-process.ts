/**
 * Looks names up for `SystemLookup` by getaddrinfo. It ends with the process that started it, which may want names while
 * it drains after a signal to the whole group.
 */
import { lookup } from 'node:dns'
import type { LookupAnswer, LookupQuestion } from './system-lookup.ts'

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
// An orderly exit would wait for lookups that hang.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

const answer = (message: LookupAnswer): void => void process.send?.(message, () => undefined)

process.on('message', ({ id, name }: LookupQuestion) => {
  try {
    lookup(name, { all: true }, (error, addresses) => answer({ id, code: error?.code ?? null, addresses }))
  } catch {
    answer({ id, code: 'ENOTFOUND', addresses: [] })
  }
})
