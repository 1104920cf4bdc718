import { randomUUID } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { copyFile, link, rm } from 'node:fs/promises'

/**
 * Gives `send` an mp3 as a file that is read from the disk only while it is sent. It has a name of its own for that
 * time: a file that another run of the call removes meanwhile would break the upload.
 */
export async function withUpload<T>(path: string, send: (file: File) => Promise<T>): Promise<T> {
  const own = `${path}.${randomUUID()}.upload`
  // Some file systems have no hard links.
  await link(path, own).catch(() => copyFile(path, own))
  try {
    const audio = await openAsBlob(own)
    return await send(new File([audio], 'recording.mp3', { type: 'audio/mpeg' }))
  } finally {
    await rm(own, { force: true })
  }
}
