export interface Production {
  databaseUrl: string
  businesses: readonly number[]
  eventsPerSecond: number
  seconds: number
}

/** What was committed: a delivery's id and when its commit was heard, of the machine's monotonic clock. */
export interface Produced {
  ids: string[]
  committedMs: number[]
}

export type ProducerMethods = {
  produce(production: Production): Promise<Produced>
}
