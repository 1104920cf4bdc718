import type { Delivery } from './delivery.ts'

/**
 * How much of the memory may be filled before a payload is left out. One part is reserved for routes with nothing in
 * memory and one for small payloads, so that large payloads to slow receivers hold up neither.
 */
const large = { others: 0.75, first: 0.875 }
const small = { others: 0.9375, first: 1 }
/** A payload is small up to this part of the memory: 16 KiB of 64 MiB. */
const smallPart = 1 / 4_096
/** Places in the window that only routes with nothing in flight can take: a quarter, but no more than this. */
const maxReserved = 48
/** One lane's payloads may wait up to this part of the memory, so that one backlog does not displace the others. */
const lanePart = 1 / 16

/**
 * What this dispatcher has in memory: POSTs in flight or answered and not yet settled, bounded by
 * `DISPATCHER_CONCURRENCY`, and the payloads of those and of what waits, bounded by `DISPATCHER_MEMORY`.
 *
 * Writers: readers call `read`, the dispatcher `send`, `drop` and `settle`.
 */
export class Window {
  readonly #maxPosts: number
  readonly #maxBytes: number
  #posts = 0
  #bytes = 0

  /** @param maxPosts 1 or more. @param maxBytes a payload has up to 1 MiB, so 16 MiB or more. */
  constructor(maxPosts: number, maxBytes: number) {
    this.#maxPosts = maxPosts
    this.#maxBytes = maxBytes
  }

  get maxPosts(): number {
    return this.#maxPosts
  }

  get maxOnProbation(): number {
    return this.#maxPosts - Math.min(maxReserved, Math.floor(this.#maxPosts / 4))
  }

  get posts(): number {
    return this.#posts
  }

  get hasRoom(): boolean {
    return this.#posts < this.#maxPosts
  }

  /** How many bytes of payload a read may bring. */
  get roomBytes(): number {
    return Math.max(0, this.#maxBytes - this.#bytes)
  }

  /** How many bytes of payload may wait in one lane. */
  get maxLaneBytes(): number {
    return this.#maxBytes * lanePart
  }

  /** Whether a payload that was read may be kept. @param isFirst its route has nothing in memory. */
  fits(bytes: number, isFirst: boolean): boolean {
    const parts = bytes <= this.#maxBytes * smallPart ? small : large
    return this.#bytes + bytes <= this.#maxBytes * (isFirst ? parts.first : parts.others)
  }

  read({ bytes }: Delivery): void {
    this.#bytes += bytes
  }

  send(): void {
    this.#posts += 1
  }

  /** A delivery that waited is dropped. */
  drop({ bytes }: Delivery): void {
    this.#bytes -= bytes
  }

  settle(deliveries: readonly Delivery[]): void {
    this.#posts -= deliveries.length
    for (const { bytes } of deliveries) this.#bytes -= bytes
  }
}
