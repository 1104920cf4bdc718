interface Settled {
  ids: string[]
  /** Reads up to this one may have begun before the settle was acknowledged. */
  afterRead: number
}

/**
 * The deliveries that this dispatcher has in memory. Their rows stay `pending` until they are settled, so reads bring
 * them again, and `hold` says which are new.
 *
 * An id is let go only when every read that began before its settle was acknowledged has returned: such a read may use
 * a snapshot from before the settle and bring the row back as pending, and it would be sent twice with no crash at all.
 */
export class HeldDeliveries {
  /** Id to slot. */
  readonly #held = new Map<string, number>()
  readonly #unsettledBySlot = new Map<number, number>()
  readonly #readsUnderWay = new Set<number>()
  #settled: Settled[] = []
  #lastRead = 0

  get size(): number {
    return this.#held.size
  }

  has(id: string): boolean {
    return this.#held.has(id)
  }

  /** @returns whether it was not held yet. */
  hold(id: string, slot: number): boolean {
    if (this.#held.has(id)) return false
    this.#held.set(id, slot)
    this.#count(slot, 1)
    return true
  }

  /** Whether nothing of the slot waits, is sent or is being settled. */
  isIdle(slot: number): boolean {
    return !this.#unsettledBySlot.has(slot)
  }

  /** Lets go of one that was never sent: a later read may bring it again. */
  drop(id: string): void {
    const slot = this.#held.get(id)
    if (slot === undefined) return
    this.#held.delete(id)
    this.#count(slot, -1)
  }

  /** The settle of these was acknowledged. */
  settled(ids: string[]): void {
    for (const id of ids) {
      const slot = this.#held.get(id)
      if (slot !== undefined) this.#count(slot, -1)
    }
    this.#settled.push({ ids, afterRead: this.#lastRead })
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
    for (const { ids, afterRead } of this.#settled) {
      if (afterRead >= oldest) break
      for (const id of ids) this.#held.delete(id)
      released += 1
    }
    if (released > 0) this.#settled = this.#settled.slice(released)
  }

  #count(slot: number, change: number): void {
    const count = (this.#unsettledBySlot.get(slot) ?? 0) + change
    if (count > 0) this.#unsettledBySlot.set(slot, count)
    else this.#unsettledBySlot.delete(slot)
  }
}
