import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PostResult } from '../../src/dispatcher/sending/post.ts'
import type { NameAnswer, NameTask } from './name-process.ts'

const script = fileURLToPath(new URL('./name-process.ts', import.meta.url))
const unshare = ['--user', '--map-root-user', '--mount', '--net', '--kill-child']

/**
 * For `describe.skipIf`: whether this machine cannot give a process an `/etc/hosts`, an `/etc/resolv.conf` and a loopback
 * of its own. The test run's output then says why.
 */
export function isNamespaceMissing(): boolean {
  const probe = spawnSync('unshare', [
    ...unshare,
    'sh',
    '-c',
    'ip link set lo up && mount --bind /etc/hosts /etc/hosts',
  ])
  if (probe.status === 0) return false
  const why = probe.error?.message ?? String(probe.stderr).trim()
  process.stderr.write(`skipped, because unshare (util-linux), ip (iproute2) or mount failed: ${why}\n`)
  return true
}

export interface NameNamespace {
  /** What the names of the DNS server resolve to, on the receivers' loopback addresses; `'silence'`: no answer, ever. */
  setAnswers(answers: Record<string, string[] | 'silence'>): Promise<void>
  /** A POST by Callbox's own client to port 80 there. */
  post(url: string): Promise<PostResult & { receivedAt: string | null; host: string | null }>
  /** Reads a file, and looks `localhost` up, as any part of a process may do while deliveries wait. */
  useOwnThreads(): Promise<void>
  /** SIGKILL to the processes that look names up; returns how many there were. */
  killLookups(): Promise<number>
  close(): Promise<void>
}

/**
 * A process with these files in place of `/etc/hosts` and `/etc/resolv.conf`, a DNS server at 127.0.0.53, one that never
 * answers at 127.0.0.54, and receivers at 127.0.0.8 and 127.0.0.9.
 *
 * @param deadlineMs for each lookup, if not the usual one.
 */
export async function startNameNamespace(
  files: { hosts: string; resolvConf: string },
  deadlineMs?: number,
): Promise<NameNamespace> {
  const directory = mkdtempSync(join(tmpdir(), 'callbox-names-'))
  const [hosts, resolvConf] = [join(directory, 'hosts'), join(directory, 'resolv.conf')]
  writeFileSync(hosts, files.hosts)
  writeFileSync(resolvConf, files.resolvConf)
  const prepare =
    'ip link set lo up && mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'
  const command = ['sh', '-c', prepare, 'sh', hosts, resolvConf, process.execPath, script]
  if (deadlineMs !== undefined) command.push(String(deadlineMs))
  const child = spawn('unshare', [...unshare, ...command], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  await once(child, 'message')
  const ask = asking(child)
  return {
    setAnswers: async (answers) => void (await ask({ kind: 'answers', answers })),
    async post(url) {
      const answer = await ask({ kind: 'post', url })
      if (answer.post === undefined) throw new Error('the process answered without a result')
      return answer.post
    },
    useOwnThreads: async () => void (await ask({ kind: 'threads' })),
    killLookups: async () => (await ask({ kind: 'kill' })).killed ?? 0,
    async close() {
      child.kill('SIGKILL')
      await once(child, 'exit')
      rmSync(directory, { recursive: true })
    },
  }
}

function asking(child: ChildProcess): (task: NameTask) => Promise<NameAnswer> {
  const waiting = new Map<number, (answer: NameAnswer) => void>()
  let lastId = 0
  child.on('message', (answer: NameAnswer) => {
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  return (task) => {
    lastId += 1
    const id = lastId
    return new Promise((resolve) => {
      waiting.set(id, resolve)
      child.send({ ...task, id })
    })
  }
}
