import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'

/** A sealed value that our keys do not open: another key, another place, or damage. */
export class SealError extends Error {
  override name = 'SealError'
}

const ivBytes = 12
const tagBytes = 16
const keyIdBytes = 4

/**
 * Encrypts what is secret at rest: AES-256-GCM (NIST SP 800-38D), a fresh 96-bit nonce for each value.
 * Stored as key id (4 bytes), nonce (12), tag (16), ciphertext. `place` is authenticated too, so that a value
 * copied to another business or column does not open there.
 */
export class Sealer {
  readonly #key: SealingKey
  readonly #previous: SealingKey | null

  /**
   * @param key 32 bytes; what is sealed is sealed with it.
   * @param previous the key before it, while values that it sealed are still there: it only opens.
   */
  constructor(key: Buffer, previous: Buffer | null = null) {
    this.#key = sealingKey(key)
    this.#previous = previous && sealingKey(previous)
  }

  /** Hex; tells keys apart without telling anything about them. */
  get fingerprint(): string {
    return this.#key.id.toString('hex')
  }

  /** `null`: there is no previous key. */
  get previousFingerprint(): string | null {
    return this.#previous?.id.toString('hex') ?? null
  }

  /** A key of 32 bytes for another purpose than sealing, made of ours (HKDF, RFC 5869). */
  deriveKey(purpose: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#key.key, '', purpose, 32))
  }

  seal(plain: string, place: string): Buffer {
    const iv = randomBytes(ivBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key.key, iv).setAAD(Buffer.from(place))
    const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
    return Buffer.concat([this.#key.id, iv, cipher.getAuthTag(), sealed])
  }

  /** @throws {SealError} when the value was not sealed by one of our keys for this place. */
  open(sealed: Buffer, place: string): string {
    const { key } = this.#keyOf(sealed)
    const iv = sealed.subarray(keyIdBytes, keyIdBytes + ivBytes)
    const tag = sealed.subarray(keyIdBytes + ivBytes, keyIdBytes + ivBytes + tagBytes)
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes })
      decipher.setAAD(Buffer.from(place)).setAuthTag(tag)
      const ciphertext = sealed.subarray(keyIdBytes + ivBytes + tagBytes)
      return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8')
    } catch {
      throw new SealError(`the value sealed for ${place} is damaged`)
    }
  }

  /** Whether {@link open} would open it. */
  opens(sealed: Buffer, place: string): boolean {
    try {
      this.open(sealed, place)
      return true
    } catch {
      return false
    }
  }

  /** Whether our own key sealed it, and not the previous one or another. */
  isCurrent(sealed: Buffer): boolean {
    return sealed.subarray(0, keyIdBytes).equals(this.#key.id)
  }

  #keyOf(sealed: Buffer): SealingKey {
    const id = sealed.subarray(0, keyIdBytes)
    for (const known of [this.#key, this.#previous]) if (known?.id.equals(id)) return known
    throw new SealError(`sealed with key ${id.toString('hex')}, but SECRETS_KEY is ${this.fingerprint}`)
  }
}

interface SealingKey {
  key: Buffer
  id: Buffer
}

function sealingKey(key: Buffer): SealingKey {
  return { key, id: createHash('sha256').update('callbox key id').update(key).digest().subarray(0, keyIdBytes) }
}

/** Where a business's secrets are sealed for; see {@link Sealer}. */
export const sealedPlace = {
  signingSecret: (businessId: string) => `business ${businessId} signing_secret`,
  previousSigningSecret: (businessId: string) => `business ${businessId} previous_signing_secret`,
  headers: (businessId: string) => `business ${businessId} headers`,
}
