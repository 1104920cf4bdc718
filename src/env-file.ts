import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { ConfigError } from './config.ts'

export interface EnvFile {
  /** Absolute path. */
  path: string
  /** The variables that came from it. */
  names: ReadonlySet<string>
}

/**
 * One entry of a file that `util.parseEnv` reads: a blank line, a comment, or `NAME=value` whose value may be quoted over
 * several lines. `parseEnv` drops lines that it does not understand, so a typo would go unnoticed.
 */
const entry =
  /[^\S\n]*(?:#[^\n]*|(?:export[^\S\n]+)?[A-Za-z_][\w.-]*[^\S\n]*=[^\S\n]*(?:(?:"[^"]*"|'[^']*'|`[^`]*`)[^\S\n]*(?:#[^\n]*)?|[^\s"'`][^\n]*)?)?(?:\n|$)/y

/**
 * Adds the variables of `.env` in `directory` to `env`, where they are not set already.
 *
 * @returns `null` if there is no such file.
 * @throws {ConfigError} for a file that cannot be read or has a line that is not understood. Values are left out of it.
 */
export function loadEnvFile(directory: string, env: NodeJS.ProcessEnv): EnvFile | null {
  const path = resolve(directory, '.env')
  const text = readText(path)
  if (text === null) return null
  const names = new Set<string>()
  for (const [name, value] of readEntries(path, text)) {
    if (env[name] !== undefined && !names.has(name)) continue
    env[name] = value
    names.add(name)
  }
  return { path, names }
}

function readText(path: string): string | null {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    if (code === 'ENOENT') return null
    throw new ConfigError(`${path}: got ${code}; expected a file that this user can read, or none`)
  }
  try {
    // The decoder drops a byte order mark, which would become part of the first name.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {}
  throw new ConfigError(`${path}: got a file that is not text; expected UTF-8`)
}

/** A variable that is there twice has its last value. */
function readEntries(path: string, text: string): [name: string, value: string][] {
  const entries: [string, string][] = []
  entry.lastIndex = 0
  while (entry.lastIndex < text.length) {
    const start = entry.lastIndex
    const found = entry.exec(text)
    if (found === null) {
      const line = text.slice(0, start).split('\n').length
      throw new ConfigError(`${path}: got a line ${line} that is not understood; expected NAME=value, quotes closed`)
    }
    // One by one: after an empty value with a space behind it, parseEnv would take the next line for the value.
    for (const [name, value = ''] of Object.entries(parseEnv(found[0].trim()))) entries.push([name, value])
  }
  return entries
}
