import { shellQuote } from './shell-quote.ts'

/** Linux takes at most 128 KiB in one argument, counted in bytes. */
const longestArgument = 100_000

export interface CurlRequest {
  url: string
  /** Names and values; what is secret comes as a placeholder. */
  headers: readonly (readonly [name: string, value: string])[]
  payload: string
  /** What the payload is called when it is downloaded: too long a one is read from that file. */
  fileName: string
}

/** Whether it is read from its downloaded file. */
export const isOfFile = (payload: string): boolean => Buffer.byteLength(payload) > longestArgument

/** The POST as a command of bash or zsh; every part of it is one quoted word. */
export function curlCommand({ url, headers, payload, fileName }: CurlRequest): string {
  // --data-raw reads no file, whatever the payload begins with.
  const body = isOfFile(payload) ? ['--data-binary', shellQuote(`@${fileName}`)] : ['--data-raw', shellQuote(payload)]
  const lines = [
    // In a URL, curl would take [1-3] and {a,b} for many.
    `curl --globoff --request POST ${shellQuote(url)}`,
    ...headers.map(([name, value]) => `--header ${shellQuote(`${name}: ${value}`)}`),
    body.join(' '),
  ]
  return lines.join(' \\\n  ')
}
