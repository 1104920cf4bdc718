import { randomUUID } from 'node:crypto'

/**
 * A form as the body of a request, by the HTML standard's "multipart/form-data encoding algorithm". Its size is known
 * exactly, and a file on disk is read only while it is sent.
 */
export function multipartBlob(form: FormData): Blob {
  const boundary = `callbox-${randomUUID()}`
  const parts: (string | Blob)[] = []
  for (const [name, value] of form) {
    const disposition = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(name)}"`
    if (typeof value === 'string') {
      parts.push(`${disposition}\r\n\r\n${value.replace(/\r?\n|\r/g, '\r\n')}\r\n`)
    } else {
      const type = value.type || 'application/octet-stream'
      parts.push(`${disposition}; filename="${escaped(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`, value, '\r\n')
    }
  }
  parts.push(`--${boundary}--\r\n`)
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` })
}

const escaped = (name: string): string => name.replace(/\r?\n|\r/g, '%0D%0A').replaceAll('"', '%22')
