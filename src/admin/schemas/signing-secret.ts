import { randomBytes } from 'node:crypto'
import { z } from 'zod'

const prefix = 'whsec_'

/** A symmetric secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64. */
export const signingSecret = z
  .string()
  .refine((text) => {
    if (!text.startsWith(prefix)) return false
    const encoded = text.slice(prefix.length)
    const bytes = Buffer.from(encoded, 'base64')
    return bytes.length >= 24 && bytes.length <= 64 && bytes.toString('base64') === encoded
  })
  .meta({ pattern: `^${prefix}[A-Za-z0-9+/]+={0,2}$`, writeOnly: true })

export const signingSecretTakes = 'whsec_ and 24 to 64 bytes in padded base64, or null for a new one'

/** 32 bytes, as long as the hash that they key. */
export const makeSigningSecret = (): string => prefix + randomBytes(32).toString('base64')
