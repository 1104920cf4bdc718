import { open } from 'node:fs/promises'

/**
 * Syncs a directory, so that files that were created or renamed in it are found after a power cut (fsync(2)). Calls that come
 * while a sync runs share the next one: only a sync that starts after a rename is known to cover it.
 */
export class DirectorySync {
  readonly #directory: string
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null

  constructor(directory: string) {
    this.#directory = directory
  }

  /** @throws Error of Node, such as EIO. */
  sync(): Promise<void> {
    if (this.#running === null) return this.#start()
    this.#next ??= this.#running.catch(() => undefined).then(() => this.#start())
    return this.#next
  }

  #start(): Promise<void> {
    this.#next = null
    const running = syncDirectory(this.#directory).finally(() => {
      if (this.#running === running) this.#running = null
    })
    this.#running = running
    return running
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
