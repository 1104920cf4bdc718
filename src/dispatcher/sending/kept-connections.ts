import type { Socket } from 'node:net'
import { errors } from 'undici'

/** When the connection of an error last received data, in monotonic milliseconds. */
const lastReadMs = new WeakMap<Error, number>()

/** Call once connected, before the first use: from then on errors of the socket carry when it last received data. */
export function watchConnection(socket: Socket): void {
  let readMs: number | null = null
  socket.on('readable', () => {
    readMs = performance.now()
  })
  socket.prependListener('error', (error) => {
    if (readMs !== null) lastReadMs.set(error, readMs)
  })
}

/**
 * Whether the receiver closed or reset a connection that it had answered on before, without a byte for this POST. It may
 * have done so just as the POST was sent, since nothing announces it (RFC 9112, section 9.5), and that says nothing about
 * the POST.
 *
 * @param startedMs when the POST was given its connection, in monotonic milliseconds.
 */
export function isKeptConnectionClosed(error: unknown, startedMs: number): boolean {
  // An orderly close is not a socket error; undici turns it into one, with one code for everything.
  if (error instanceof errors.SocketError) {
    return /^(other side )?closed$/.test(error.message) && (error.socket?.bytesRead ?? 0) > 0
  }
  const readMs = error instanceof Error ? lastReadMs.get(error) : undefined
  return readMs !== undefined && readMs < startedMs
}
