/** Loaded into a role before its own code: whoever started the demo may kill it, and nothing must run on then. */
process.once('disconnect', () => process.exit(1))
process.channel?.unref()
