/**
 * Numbers the reads of this dispatcher. Every question of the form "was this row read before X?" compares the number of
 * its read with the number that was `next` when X happened.
 */
export class ReadSequence {
  #next = 1
  readonly #underWay = new Set<number>()

  /** The number of the next read. */
  get next(): number {
    return this.#next
  }

  /** The oldest running read, or `next` when there is none: what happened before it is visible to all reads. */
  get oldest(): number {
    for (const read of this.#underWay) return read
    return this.#next
  }

  /** Call before the statement is sent. */
  begin(): number {
    const read = this.#next
    this.#next += 1
    this.#underWay.add(read)
    return read
  }

  /** Call when the rows of the read have been processed. */
  end(read: number): void {
    this.#underWay.delete(read)
  }
}
