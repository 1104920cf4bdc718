import type { Delivery } from '../delivery.ts'
import type { Slots } from '../lease/slots.ts'
import type { ReadSequence } from './read-sequence.ts'

interface Settled {
  deliveries: readonly Delivery[]
  /** Reads from this one on see that they are settled. */
  visibleFrom: number
}

/**
 * The ids that this dispatcher has in memory: waiting, in flight, or being settled. Their rows are still due, so reads leave
 * them out, and a row that two concurrent reads bring is taken once.
 *
 * An id is forgotten only after every read that began before its settle was acknowledged has ended: such a read may use
 * a snapshot from before the settle, and the delivery would be sent twice without any crash.
 *
 * Writers: `hold` by readers, `drop` for what was never sent, `settled` by the settler, `forget` after each read.
 */
export class Held {
  readonly #slots: Slots
  readonly #reads: ReadSequence
  readonly #byRoute = new Map<string, Set<string>>()
  #settled: Settled[] = []

  constructor(slots: Slots, reads: ReadSequence) {
    this.#slots = slots
    this.#reads = reads
  }

  get isEmpty(): boolean {
    return this.#byRoute.size === 0
  }

  of(routeName: string): ReadonlySet<string> {
    return this.#byRoute.get(routeName) ?? none
  }

  /** @returns false when it is in memory already. */
  hold({ id, route }: Delivery): boolean {
    const ids = this.#byRoute.get(route.name)
    if (ids === undefined) this.#byRoute.set(route.name, new Set([id]))
    else if (ids.has(id)) return false
    else ids.add(id)
    this.#slots.hold(route.slot)
    return true
  }

  /** Forgets one that was never sent; a later read may bring it again. */
  drop(delivery: Delivery): void {
    this.#forgetId(delivery)
    this.#slots.release(delivery.route.slot)
  }

  /** The settle of these was acknowledged. */
  settled(deliveries: readonly Delivery[]): void {
    for (const { route } of deliveries) this.#slots.release(route.slot)
    this.#settled.push({ deliveries, visibleFrom: this.#reads.next })
    this.forgetSettled()
  }

  /** Forgets ids that no running read can return. */
  forgetSettled(): void {
    const { oldest } = this.#reads
    let count = 0
    for (const { deliveries, visibleFrom } of this.#settled) {
      if (visibleFrom > oldest) break
      for (const delivery of deliveries) this.#forgetId(delivery)
      count += 1
    }
    if (count > 0) this.#settled.splice(0, count)
  }

  #forgetId({ id, route }: Delivery): void {
    const ids = this.#byRoute.get(route.name)
    ids?.delete(id)
    if (ids?.size === 0) this.#byRoute.delete(route.name)
  }
}

const none: ReadonlySet<string> = new Set()
