import pg from 'pg'

/** How one dispatcher's slots passed to others after it was told, or made, to go. */
export interface Handover {
  how: 'kill' | 'term'
  dispatcher: number
  /** Milliseconds since the epoch. */
  atMs: number
  /** Of each slot that it owned: how long until a living other owned it; `null`: not within the watch. */
  tookMs: Map<number, number | null>
}

const lookEveryMs = 20
const longestWatchMs = 7_500

/** Looks, over a connection of its own that goes through no proxy, who owns what. */
export class SlotWatch {
  readonly #url: string

  constructor(databaseUrl: string) {
    this.#url = databaseUrl
  }

  /** @param begin makes the dispatcher go. */
  async follow(how: Handover['how'], dispatcher: number, id: string | null, begin: () => void): Promise<Handover> {
    const client = new pg.Client(this.#url)
    client.on('error', () => undefined)
    await client.connect()
    try {
      const owned = await client.query<{ slot: number }>('select slot from callbox.slots where owner = $1', [id])
      const tookMs = new Map<number, number | null>(owned.rows.map(({ slot }) => [slot, null]))
      const waiting = new Set(tookMs.keys())
      const atMs = Date.now()
      const begunMs = performance.now()
      begin()
      while (waiting.size > 0 && performance.now() - begunMs < longestWatchMs) {
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
        const { rows } = await client.query<{ slot: number }>(
          'select slot from callbox.slots join callbox.dispatchers d on d.id = owner where owner <> $1 and slot = any($2::smallint[])',
          [id, [...waiting]],
        )
        for (const { slot } of rows) {
          waiting.delete(slot)
          tookMs.set(slot, performance.now() - begunMs)
        }
      }
      return { how, dispatcher, atMs, tookMs }
    } finally {
      await client.end()
    }
  }
}
