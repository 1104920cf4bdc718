/**
 * How many POSTs of a route may be in flight after trouble: one to begin with, and one more for each success, up to the
 * route's own limit, so that a backlog is not released at once on an endpoint that has just come back.
 */
export class Ramp {
  #allowed = Number.POSITIVE_INFINITY

  afterTrouble(): void {
    this.#allowed = 1
  }

  succeeded(): void {
    this.#allowed += 1
  }

  /** @param limit of the route, 1 or more. */
  limit(limit: number): number {
    return Math.min(limit, this.#allowed)
  }
}
