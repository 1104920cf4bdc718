/** How long a scrape waits for the database, in milliseconds; Prometheus itself waits 10 s unless set. */
const patienceMs = 5_000

/**
 * What the gauges of one scrape share: a reading that is under way is joined, not repeated, also when it is slow and
 * the next scrape has begun. When it fails or does not come in time there is none, so that the scrape still tells the
 * rest and no stale number looks good.
 */
export class ScrapeReading<T> {
  readonly #read: () => Promise<T>
  #reading: Promise<T | null> | null = null

  constructor(read: () => Promise<T>) {
    this.#read = read
  }

  take(): Promise<T | null> {
    this.#reading ??= this.#read()
      .catch(() => null)
      .finally(() => {
        this.#reading = null
      })
    return withinPatience(this.#reading)
  }
}

async function withinPatience<T>(work: Promise<T>): Promise<T | null> {
  const { promise: tooLate, resolve } = Promise.withResolvers<null>()
  const timer = setTimeout(resolve, patienceMs, null)
  return Promise.race([work, tooLate]).finally(() => clearTimeout(timer))
}
