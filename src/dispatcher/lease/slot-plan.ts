import { slotCount } from './slots.ts'

export interface FleetView {
  dispatchers: { id: string; beat: number; leaving: boolean }[]
  slots: { slot: number; owner: string | null }[]
}

export interface SlotPlan {
  /** Free slots to claim, with the absent owner that was seen. */
  claim: { slot: number; owner: string | null }[]
  /** How many slots are held beyond the fair share. */
  excess: number
}

/**
 * What one dispatcher should do about its slots: hold ceil(64 / living), where one that leaves does not count.
 * Free slots are taken from a place of each dispatcher's own, so that several starting together do not all reach for
 * the same ones.
 */
export function planSlots(self: string, view: FleetView, leaving: boolean): SlotPlan {
  const present = new Set(view.dispatchers.map((dispatcher) => dispatcher.id))
  const living = view.dispatchers.filter((dispatcher) => !dispatcher.leaving || dispatcher.id === self).length
  const held = view.slots.filter((slot) => slot.owner === self).length
  const share = leaving ? 0 : Math.ceil(slotCount / Math.max(1, living))
  const free = view.slots.filter(({ owner }) => owner === null || !present.has(owner))
  const rank = view.dispatchers
    .map((dispatcher) => dispatcher.id)
    .sort()
    .indexOf(self)
  const start = Math.floor((Math.max(0, rank) * free.length) / Math.max(1, living))
  const ordered = [...free.slice(start), ...free.slice(0, start)]
  return { claim: ordered.slice(0, Math.max(0, share - held)), excess: Math.max(0, held - share) }
}
