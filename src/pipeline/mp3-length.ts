import { open } from 'node:fs/promises'

const blockBytes = 256 * 1024
const headerBytes = 4

/** Kilobits per second by the header's four bits; 0: none or forbidden (ISO 11172-3 and 13818-3, layer III). */
const bitrates = {
  mpeg1: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0],
  mpeg2: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
} as const
const sampleRates = [44_100, 48_000, 32_000]

/**
 * The real duration of an mp3 in seconds; `null` if it is not an mp3. Libraries trust the frame count in the first frame
 * (Xing), which a truncated file still has.
 */
export async function mp3Seconds(path: string): Promise<number | null> {
  const file = await open(path)
  try {
    const block = Buffer.alloc(blockBytes)
    let seconds = 0
    let position = 0
    let start = 0
    let filled = 0
    while (true) {
      if (position < start || position + 10 > start + filled) {
        start = position
        filled = (await file.read(block, 0, blockBytes, start)).bytesRead
        if (filled < headerBytes) return seconds > 0 ? seconds : null
      }
      const at = block.subarray(position - start, filled)
      if (position === 0 && at.length >= 10 && at.toString('latin1', 0, 3) === 'ID3') {
        position = 10 + (((at[6] ?? 0) << 21) | ((at[7] ?? 0) << 14) | ((at[8] ?? 0) << 7) | (at[9] ?? 0))
        continue
      }
      const frame = at.length >= headerBytes ? frameOf(at.readUInt32BE(0)) : null
      // Tags may follow the last frame.
      if (frame === null) return seconds > 0 ? seconds : null
      seconds += frame.seconds
      position += frame.bytes
    }
  } finally {
    await file.close()
  }
}

function frameOf(header: number): { bytes: number; seconds: number } | null {
  const version = (header >>> 19) & 3
  const isLayer3 = ((header >>> 17) & 3) === 1
  const rate = sampleRates[(header >>> 10) & 3]
  if (header >>> 21 !== 0x7ff || version === 1 || !isLayer3 || rate === undefined) return null
  const isMpeg1 = version === 3
  const kilobits = bitrates[isMpeg1 ? 'mpeg1' : 'mpeg2'][(header >>> 12) & 15]
  if (!kilobits) return null
  const sampleRate = isMpeg1 ? rate : version === 2 ? rate / 2 : rate / 4
  const samples = isMpeg1 ? 1152 : 576
  const padding = (header >>> 9) & 1
  return {
    bytes: Math.floor((samples / 8) * ((kilobits * 1000) / sampleRate)) + padding,
    seconds: samples / sampleRate,
  }
}
