import type { Request } from 'express'
import type { z } from 'zod'
import { readFields } from '../read-request.ts'

/** The fields of a sent form, as texts. @throws {Problem} 400, naming each field that is not what it takes. */
export function readForm<T extends z.ZodObject>(request: Request, schema: T): z.infer<T> {
  return readFields(request.body, schema, false)
}
