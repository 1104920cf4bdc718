import type { Delivery } from './delivery.ts'

interface Settled {
  deliveries: readonly Delivery[]
  /** Reads up to this one may have begun before the settle was acknowledged. */
  afterRead: number
}

/**
 * The deliveries that this dispatcher has in memory. Their rows stay `pending` until they are settled; a read is told which
 * they are, and leaves them out. What it brings nevertheless `hold` knows: two reads may have been under way at once.
 *
 * An id is let go only when every read that began before its settle was acknowledged has returned: such a read may use
 * a snapshot from before the settle and bring the row back as pending, and it would be sent twice with no crash at all.
 */
export class HeldDeliveries {
  /** Ids by the name of their route. */
  readonly #held = new Map<string, Set<string>>()
  readonly #unsettledBySlot = new Map<number, number>()
  readonly #readsUnderWay = new Set<number>()
  #settled: Settled[] = []
  #lastRead = 0

  /** Whether nothing is held. */
  get empty(): boolean {
    return this.#held.size === 0
  }

  /** The ids that are held of a route. */
  of(routeName: string): ReadonlySet<string> {
    return this.#held.get(routeName) ?? none
  }

  /** @returns whether it was not held yet. */
  hold({ id, route }: Delivery): boolean {
    const ids = this.#held.get(route.name)
    if (ids === undefined) this.#held.set(route.name, new Set([id]))
    else if (ids.has(id)) return false
    else ids.add(id)
    this.#count(route.slot, 1)
    return true
  }

  /** Whether nothing of the slot waits, is sent or is being settled. */
  isIdle(slot: number): boolean {
    return !this.#unsettledBySlot.has(slot)
  }

  /** Lets go of one that was never sent: a later read may bring it again. */
  drop(delivery: Delivery): void {
    if (this.#release(delivery)) this.#count(delivery.route.slot, -1)
  }

  /** The settle of these was acknowledged. */
  settled(deliveries: readonly Delivery[]): void {
    for (const { id, route } of deliveries) if (this.of(route.name).has(id)) this.#count(route.slot, -1)
    this.#settled.push({ deliveries, afterRead: this.#lastRead })
    this.#letGo()
  }

  /** To be called before a read is sent; the number goes to `readEnded`. */
  readBegun(): number {
    this.#lastRead += 1
    this.#readsUnderWay.add(this.#lastRead)
    return this.#lastRead
  }

  /** To be called when what the read brought has been looked up here. */
  readEnded(read: number): void {
    this.#readsUnderWay.delete(read)
    this.#letGo()
  }

  #letGo(): void {
    const oldest = Math.min(...this.#readsUnderWay, Number.POSITIVE_INFINITY)
    let released = 0
    for (const { deliveries, afterRead } of this.#settled) {
      if (afterRead >= oldest) break
      for (const delivery of deliveries) this.#release(delivery)
      released += 1
    }
    if (released > 0) this.#settled = this.#settled.slice(released)
  }

  #release({ id, route }: Delivery): boolean {
    const ids = this.#held.get(route.name)
    if (!ids?.delete(id)) return false
    if (ids.size === 0) this.#held.delete(route.name)
    return true
  }

  #count(slot: number, change: number): void {
    const count = (this.#unsettledBySlot.get(slot) ?? 0) + change
    if (count > 0) this.#unsettledBySlot.set(slot, count)
    else this.#unsettledBySlot.delete(slot)
  }
}

const none: ReadonlySet<string> = new Set()
