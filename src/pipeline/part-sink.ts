import { type FileHandle, open } from 'node:fs/promises'
import { Writable } from 'node:stream'

/** More bytes arrived than allowed; the total may be unknown. */
export class TooLongError extends Error {}

/** Bytes that may be buffered for the disk before reading pauses. */
const maxQueuedBytes = 1024 * 1024

/**
 * Stores a download from byte `start` of a file on. A file stream forgets what it has not written yet when the
 * transfer breaks off; this keeps all that has come. Call `settle` when the transfer has ended, well or badly.
 */
export class PartSink extends Writable {
  readonly #opened: Promise<FileHandle>
  readonly #maxBytes: number
  #bytes: number
  #queuedBytes = 0
  #written: Promise<unknown>

  /** @param maxBytes of the file; above that the stream ends with a {@link TooLongError}. */
  constructor(file: string, start: number, maxBytes: number) {
    super()
    this.#bytes = start
    this.#maxBytes = maxBytes
    // `r+`: a part that was removed meanwhile must not be continued with a hole.
    this.#opened = open(file, start > 0 ? 'r+' : 'w', 0o600)
    this.#written = this.#opened.then((handle) => handle.truncate(start))
    this.#written.catch(() => undefined)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    const position = this.#bytes
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes) {
      callback(new TooLongError())
      return
    }
    this.#queuedBytes += chunk.length
    const stored = this.#written.then(async () => {
      const handle = await this.#opened
      await handle.writev([chunk], position)
      this.#queuedBytes -= chunk.length
    })
    stored.catch(() => undefined)
    this.#written = stored
    if (this.#queuedBytes <= maxQueuedBytes) callback()
    else stored.then(() => callback(), callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#written.then(() => callback(), callback)
  }

  /** @returns the size of the file, which is on the disk now. @throws Error when it cannot be written. */
  async settle(): Promise<number> {
    const handle = await this.#opened
    try {
      await this.#written
      await handle.sync()
      return (await handle.stat()).size
    } finally {
      await handle.close()
    }
  }
}

/** Stores nothing. It reads a short answer, so that the connection can be reused, and aborts a long one. */
export class NoSink extends Writable {
  #bytes = 0

  /** @param isLong aborts immediately. */
  constructor(isLong = false) {
    super()
    if (isLong) setImmediate(() => this.destroy())
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#bytes += chunk.length
    callback(this.#bytes > 64 * 1024 ? new TooLongError() : null)
  }
}
