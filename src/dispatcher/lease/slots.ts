import type { ReadSequence } from '../reading/read-sequence.ts'

export const slotCount = 64

export const slotOf = (businessId: string): number => Number(BigInt(businessId) % BigInt(slotCount))

/**
 * The 64 slots as this dispatcher sees them.
 *
 * ```
 *            gain                drain
 *  unowned ────────▶ owned ◀────────────▶ draining
 *     ▲                │        gain          │
 *     └──────── lose ──┴──────────────────────┘
 * ```
 *
 * Only the lease calls `gain`, `drain` and `lose`; only `Held` calls `hold` and `release`. Readers ask `readable` before a
 * read and `accepts` for each row that it brought.
 */
export class Slots {
  readonly #reads: ReadSequence
  readonly #state: ('unowned' | 'owned' | 'draining')[] = new Array(slotCount).fill('unowned')
  /** The first read whose rows of a slot are ours to send: reads begun before the gain may bring another owner's. */
  readonly #since: number[] = new Array(slotCount).fill(0)
  /** Deliveries of each slot that wait, are sent, or are being settled. */
  readonly #inMemory: number[] = new Array(slotCount).fill(0)

  constructor(reads: ReadSequence) {
    this.#reads = reads
  }

  gain(slots: readonly number[]): void {
    for (const slot of slots) {
      if (this.#state[slot] === 'unowned') this.#since[slot] = this.#reads.next
      this.#state[slot] = 'owned'
    }
  }

  /** Nothing more is read or sent for these; they are released once they are idle. */
  drain(slots: readonly number[]): void {
    for (const slot of slots) if (this.#state[slot] === 'owned') this.#state[slot] = 'draining'
  }

  lose(slots: readonly number[]): void {
    for (const slot of slots) this.#state[slot] = 'unowned'
  }

  hold(slot: number): void {
    this.#inMemory[slot] = (this.#inMemory[slot] ?? 0) + 1
  }

  release(slot: number): void {
    this.#inMemory[slot] = (this.#inMemory[slot] ?? 0) - 1
  }

  isOwned(slot: number): boolean {
    return this.#state[slot] !== 'unowned'
  }

  /** Whether no delivery of the slot waits, is sent, or is being settled. */
  isIdle(slot: number): boolean {
    return this.#inMemory[slot] === 0
  }

  /** Whether rows of this slot that a read brought may be taken. */
  accepts(slot: number, read: number): boolean {
    return this.#state[slot] === 'owned' && read >= (this.#since[slot] ?? 0)
  }

  owned(): number[] {
    return this.#select((state) => state !== 'unowned')
  }

  readable(): number[] {
    return this.#select((state) => state === 'owned')
  }

  draining(): number[] {
    return this.#select((state) => state === 'draining')
  }

  #select(matches: (state: string) => boolean): number[] {
    const slots: number[] = []
    for (const [slot, state] of this.#state.entries()) if (matches(state)) slots.push(slot)
    return slots
  }
}
