import { totalmem } from 'node:os'

const mebibyte = 1024 * 1024

/**
 * Settings of the embedded PostgreSQL that differ from its defaults: room for a backlog's WAL between two checkpoints, and
 * an eighth of the memory for its pages (128 MB to 4 GB; bench/NOTES.md, "embeddedSettings"). PostgreSQL's manual
 * recommends a quarter for a dedicated machine ("Resource Consumption", `shared_buffers`); this one is shared.
 */
export function embeddedSettings(): string[] {
  // Use the cgroup limit. Without one, Node reports 0 or a huge number.
  const bytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  const pages = Math.min(4_096, Math.max(128, Math.floor(bytes / mebibyte / 8)))
  return ['max_connections=200', `shared_buffers=${pages}MB`, 'max_wal_size=4GB']
}
