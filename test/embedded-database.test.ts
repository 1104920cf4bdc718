import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startEmbeddedDatabase } from '../src/database/embedded.ts'

/** What a process was started with, as any user of the machine reads it; environments only its own user. */
function startedWith(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1') + readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    return ''
  }
}

test.runIf(process.platform === 'linux')(
  'neither its password nor the keys of others are among what its processes were started with',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'callbox-embedded-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    vi.stubEnv('OPENAI_API_KEY', 'sk-embedded-must-not-see')
    onTestFinished(() => void vi.unstubAllEnvs())
    const password = 'correct-horse-battery'
    const server = await startEmbeddedDatabase({ directory: join(directory, 'pg'), port: 0, password, settings: [] })
    onTestFinished(() => server.stop())
    const holder = readFileSync(`/proc/${server.postmasterPid}/stat`, 'latin1').split(' ')[3] ?? ''
    expect(startedWith(holder)).toContain('embedded-server')
    const others = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    for (const pid of others) expect(startedWith(pid)).not.toContain(password)
    for (const pid of [holder, String(server.postmasterPid)]) {
      expect(startedWith(pid)).not.toContain('sk-embedded-must-not-see')
    }
  },
)
