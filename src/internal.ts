/**
 * What the two command lines need besides the public surface. It is not published: nothing here is promised to anybody
 * else.
 */
export { throwIfAborted } from './base/abort.js';
export { isZero } from './base/bytes.js';
export { ForeignJson } from './base/foreign-json.js';
export { printedBytes } from './base/printed.js';
export { hexOfBytes, printable, printableText, utf8Text } from './base/text.js';
export { newIoBytes } from './base/io-bytes.js';
export { readAhead } from './io/read-ahead.js';
export { tailOf } from './io/view.js';
export { urlLabel } from './io/url-label.js';
export type { Fetch } from './io/http-range.js';
export type { HttpResponse } from './io/http-answer.js';
export { changeKeys } from './edit/keys/change-keys.js';
export {
  eraseSlot,
  fillSlot,
  materialBytes,
  overwriteSlot,
  refuseOddSlots,
} from './luks/change-slots.js';
export type { KeyStep } from './luks/change-slots.js';
export { sealSlot } from './luks/seal-slot.js';
export type { SealedSlot } from './luks/seal-slot.js';
export { openSlot, openSlots, readLuks } from './read/guest/luks-keys.js';
export type { StoredLuks } from './read/guest/luks-keys.js';
export { luksBytes, newLuks } from './luks/new-luks.js';
export type { KeyMaker } from './luks/key-maker.js';
export { aesCipher } from './read/guest/unlock.js';
export { LUKS_HEADER_BYTES, parseLuksHeader } from './qcow2/luks.js';
export type { LuksHeader } from './qcow2/luks.js';
export { describeRequest } from './api/group/refuse-unfinished.js';
export { describeSnapshot } from './qcow2/describe-snapshot.js';
export { placeOfReadable } from './edit/snapshot/unsaved.js';
export type { ActivePlace } from './edit/snapshot/unsaved.js';
export { commitDisk } from './chain/commit-disk.js';
export type { CommitTarget } from './chain/commit-disk.js';
export { overwriteDisk } from './chain/overwrite-disk.js';
export { rebaseDisk } from './chain/rebase-disk.js';
export { planEmpty } from './edit/write/plan-empty.js';
export { zeroSource } from './io/zero-source.js';
export { followChain } from './audit/chain.js';
export { completeHeader, setBacking } from './edit/header/set-backing.js';
export { planDataFile } from './edit/header/plan-data-file.js';
export { planLazyRefcounts } from './edit/header/plan-lazy-refcounts.js';
export { planVersion } from './edit/version/plan-version.js';
export { judgeBitmap } from './image/judge-bitmaps.js';
export { noWorseThan, refuseUnsound } from './read/check/refuse-unsound.js';
export { checkCreateOptions } from './make/new/create-options.js';
export { measureBitmaps, measuredDataBytes } from './make/new/measure.js';
export { parseRepairWords } from './edit/repair/choice.js';
export { carvedRange } from './read/scan/carved-range.js';
export { isAllRescued } from './make/rescue/choose.js';
export { lostRanges } from './make/rescue/lost-ranges.js';
export type { LostRange } from './make/rescue/lost-ranges.js';
export { foreseeRescued } from './make/rescue/write-copy.js';
export { refuseFixedPlaces } from './edit/trim/plan-relocation.js';
export { planWithinRoom } from './edit/plan/within-room.js';
export { previewPlan } from './edit/tx/preview.js';
export { shadowBytesOf, shadowWriteRanges } from './edit/tx/plan.js';
export { LossList, salvagedRanges } from './make/copy/salvage.js';
export type { SalvagedRange } from './make/copy/salvage.js';
export { compareDates } from './read/timeline/moments.js';
export { openAllMapped, vmStateAt } from './read/guest/open-guest-disk.js';
export { heldTogether } from './read/sharing/held-together.js';
export type { DiskRun, HeldBytes } from './read/sharing/held-together.js';
export { shortenedBytes, snapshotEntryBytes } from './read/sharing/snapshot-entries.js';
export { hashContent, hashSource } from './make/copy/content.js';
export { settled } from './io/settled.js';
