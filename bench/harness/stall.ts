import type { Socket } from 'node:net'

/** A slow reader takes one chunk, 64 KB at most, in this time. */
const chunkMs = 500

/** A reader that, for some time from the head of each request on, leaves the rest in the sender's hands. */
export class Stall {
  readonly #socket: Socket
  readonly #ms: number
  readonly #isReading: boolean
  #untilMs = 0

  /** @param isReading slowly; else not at all. */
  constructor(socket: Socket, ms: number, isReading: boolean) {
    this.#socket = socket
    this.#ms = ms
    this.#isReading = isReading
  }

  begin(): void {
    this.#untilMs = performance.now() + this.#ms
  }

  /** Call it after each chunk. */
  hold(): void {
    const leftMs = this.#untilMs - performance.now()
    if (leftMs <= 0) return
    this.#socket.pause()
    setTimeout(() => this.#socket.resume(), this.#isReading ? Math.min(chunkMs, leftMs) : leftMs)
  }
}
