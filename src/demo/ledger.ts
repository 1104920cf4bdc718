/** Entries in the order in which they came; the oldest go once there are more than `limit`. */
export class Ledger<Entry> {
  readonly entries: Entry[] = []
  readonly #limit: number

  constructor(limit = 100_000) {
    this.#limit = limit
  }

  add(entry: Entry): Entry {
    if (this.entries.length >= this.#limit) this.entries.shift()
    this.entries.push(entry)
    return entry
  }
}
