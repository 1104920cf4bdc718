import type { RequestHandler } from 'express'
import { afterAll, afterEach, expect } from 'vitest'
import { judge } from './openapi.ts'

const complaints: string[] = []
const expectNone = (): void => expect(complaints.splice(0)).toEqual([])
afterEach(expectNone)
afterAll(expectNone)

/**
 * Holds every answer of what is mounted after it against the OpenAPI document: what the document does not describe fails
 * the test. To be imported at the top of a file, since hooks count only while tests are collected.
 */
export const describedAnswers: RequestHandler = (request, response, next) => {
  const { method, originalUrl: path } = request
  const chunks: Buffer[] = []
  const keep = (chunk: unknown, encoding: unknown): void => {
    if (typeof chunk === 'string') chunks.push(Buffer.from(chunk, encoding === 'latin1' ? 'latin1' : 'utf8'))
    if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
  }
  const { write, end } = response
  response.write = (...given: unknown[]) => {
    keep(given[0], given[1])
    return Reflect.apply(write, response, given)
  }
  response.end = (...given: unknown[]) => {
    keep(given[0], given[1])
    const header = (name: string): string | null => response.getHeader(name)?.toString() ?? null
    const body = Buffer.concat(chunks).toString()
    const complaint = judge.complaintAbout({ method, path, status: response.statusCode, header, body })
    if (complaint !== null) complaints.push(complaint)
    return Reflect.apply(end, response, given)
  }
  next()
}
