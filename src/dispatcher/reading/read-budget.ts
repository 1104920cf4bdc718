import type { Window } from '../window.ts'

/**
 * Deliveries that wait in memory, for each that may be in flight: enough for the time that a read takes, up to a number
 * that the garbage collector copies cheaply (bench/NOTES.md, "waitingShare").
 */
const waitingShare = 4
const maxWaiting = 4_096
/** One read brings no more payload than this, so that its answer is a small part of the memory. */
const maxReadBytes = 8 * 1024 * 1024

/** How much one read brings, and how much of it waits in memory. */
export class ReadBudget {
  readonly #window: Window

  constructor(window: Window) {
    this.#window = window
  }

  get rows(): number {
    const { maxPosts } = this.#window
    return Math.max(maxPosts, Math.min(maxPosts * waitingShare, maxWaiting))
  }

  /** 0: memory is full, and nothing is read until something is settled. */
  get bytes(): number {
    return Math.min(maxReadBytes, this.#window.roomBytes)
  }

  /** How many routes with something to send are enough, and how many a read brings more of. */
  get routes(): number {
    return Math.ceil(this.#window.maxPosts / 2)
  }
}
