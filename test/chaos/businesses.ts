import type { Manner } from './receiver.ts'

export interface ChaosBusiness {
  businessId: string
  manner: Manner
  /** It has more to send than its receiver takes, so that there is always something waiting in memory. */
  busy: boolean
  /** Its receiver is reached through the proxy. */
  proxied: boolean
}

const manners: readonly Manner[] = ['quick', 'quick', 'slow', 'flaky', 'quick', 'slow and flaky', 'quick', 'flaky']

/** One for each slot; six of them busy, a quarter behind the proxy. */
export const businesses: readonly ChaosBusiness[] = Array.from({ length: 64 }, (_, index) => {
  const busy = index % 11 === 0
  return {
    businessId: String(index + 1),
    manner: busy ? 'slow' : (manners[index % manners.length] ?? 'quick'),
    busy,
    proxied: index % 4 === 1,
  }
})
