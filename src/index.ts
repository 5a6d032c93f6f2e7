/**
 * qsnap: reads and edits internal snapshots of qcow2 images, offline and without QEMU. This entry
 * runs anywhere; files are opened by `qsnap/node`.
 */
export { ERROR_CODES, QsnapError, isQsnapError } from './errors.js';
export type { ErrorCode, ErrorDetails, ErrorKind, ImageState } from './errors.js';
export { hexOfBytes, printable, printableText } from './base/text.js';
export { newIoBytes } from './base/io-bytes.js';
export type { HostOffset } from './base/units.js';
export type {
  BlockDevice,
  BlockSource,
  ByteRange,
  ReadRequest,
  WriteRequest,
} from './io/device.js';
export type { FileStretch, SparseSource } from './io/holes.js';
export { memoryDevice } from './io/memory.js';
export { blobSource } from './io/blob.js';
export { httpSource } from './io/http-range.js';
export { backingFormat, backingName, dataFileName } from './image/image.js';
export type { Image, Unread, UnreadStructure } from './image/image.js';
export { openImage } from './image/open.js';
export type { OpenOptions } from './image/open.js';
export { openForReading } from './image/open-for-reading.js';
export type { ReadableImage } from './image/open-for-reading.js';
export type { CompressionType, EncryptionMethod, Header, L1Ref } from './qcow2/header.js';
export type { BitmapsExtension, EncryptionHeaderRef, HeaderExtension } from './qcow2/extensions.js';
export type { FeatureName } from './qcow2/features.js';
export type { Geometry } from './qcow2/geometry.js';
export { LUKS_HEADER_BYTES, parseLuksHeader } from './qcow2/luks.js';
export type { LuksHeader } from './qcow2/luks.js';
export type { PersistentBitmap } from './qcow2/bitmap-directory.js';
export type { Snapshot, SnapshotDate } from './qcow2/snapshot-table.js';
export { describeSnapshot, findSnapshot } from './snapshot/find.js';
export type { NameRules } from './snapshot/names.js';
export { planCreate } from './snapshot/create.js';
export type { CreateOptions } from './snapshot/create.js';
export { planApply } from './snapshot/apply.js';
export type { ApplyOptions } from './snapshot/apply.js';
export { planDelete, planDeleteInPlace } from './snapshot/delete.js';
export { planRename } from './snapshot/rename.js';
export { computeUnsavedChanges, snapshotsEqualToActive } from './snapshot/unsaved.js';
export type { UnsavedChanges } from './snapshot/unsaved.js';
export { planResize } from './resize/plan-resize.js';
export type { ResizeOptions } from './resize/plan-resize.js';
export type { Preallocation } from './resize/growth.js';
export { checkImage } from './check/check-image.js';
export { mapOwners } from './refs/owners.js';
export type { Owners } from './refs/owners.js';
export type { OwnedRange, OwnerMap } from './refs/owner-map.js';
export type { DiskNumber, DiskSet, DiskSets } from './refs/disk-sets.js';
export type { Pointers } from './refs/pointers.js';
export { refuseUnsound, type AllowedFlaws } from './check/refuse-unsound.js';
export type { FindingCode } from './check/catalog.js';
export { REPAIR_CLASSES } from './check/finding.js';
export type {
  Facts,
  Finding,
  Owner,
  OwnerKind,
  Remedy,
  RepairClass,
  Severity,
  Structure,
} from './check/finding.js';
export type {
  CheckExitCode,
  CheckOptions,
  CheckReport,
  CodeLeftOut,
  CheckTotals,
  QemuFailure,
  Unreferenced,
} from './check/report.js';
export type { Extent, ExtentKind, ExtentOptions, GuestDisk, Loss } from './guest/disk.js';
export type { Gate, OpenedLayer } from './guest/gate.js';
export { openGuestDisk } from './guest/open-guest-disk.js';
export type { GuestDiskOptions } from './guest/open-guest-disk.js';
export type {
  CipherName,
  Compressor,
  Cryptography,
  Decompressor,
  SectorCipher,
} from './guest/ports.js';
export { rawDisk } from './guest/raw-disk.js';
export type { RawDiskOptions } from './guest/raw-disk.js';
export { proposeRepair } from './repair/propose.js';
export type { ProposedRepair } from './repair/propose.js';
export type { DroppedBitmaps } from './repair/dropped-bitmaps.js';
export type { RepairFacts } from './repair/plan-repair.js';
export { checkCreateOptions, createImage } from './make/create-image.js';
export type { CreateImageOptions, NewPreallocation } from './make/create-image.js';
export { measureBitmaps, measuredDataBytes, measureQcow2 } from './make/measure.js';
export type { Measure, MeasuredBitmap, MeasuredExtent, MeasureOptions } from './make/measure.js';
export { newQcow2Writer } from './make/qcow2-writer.js';
export { newRawWriter, newStreamWriter } from './make/raw-writer.js';
export type { ByteSink } from './make/raw-writer.js';
export type { GuestWrite, ImageWriter, NewImageOptions } from './make/image-writer.js';
export { parseRepairWords } from './repair/choice.js';
export type { ChosenFinding, EmptiedL1, RepairChoice } from './repair/choice.js';
export { chooseRescued, isAllRescued } from './rescue/choose.js';
export type { RescueChoice } from './rescue/choose.js';
export type { RescueOptions } from './rescue/gather.js';
export { lostRanges } from './rescue/lost-ranges.js';
export type { LostRange } from './rescue/lost-ranges.js';
export { planRescue } from './rescue/plan-rescue.js';
export type { RescuedDisk, RescuePlan } from './rescue/plan-rescue.js';
export type { Origin, Sureness } from './rescue/root.js';
export type { Unexplained } from './rescue/unexplained.js';
export { foreseeRescued, writeRescued } from './rescue/write-copy.js';
export type { RescueReport } from './rescue/write-copy.js';
export { saveUndo } from './tx/save-undo.js';
export type { UndoAbout } from './tx/save-undo.js';
export { executeUndo } from './tx/undo.js';
export type { UndoOptions, UndoReport } from './tx/undo.js';
export type { UndoIndex } from './tx/undo-index.js';
export type { Hasher, NewHasher } from './base/hasher.js';
export { editWithinRoom, planWithinRoom } from './edit/within-room.js';
export type { Planned } from './edit/within-room.js';
export { executePlan } from './tx/execute.js';
export type { ExecuteOptions, ExecuteReport } from './tx/execute.js';
export { executeStages } from './tx/execute-stages.js';
export type { Stage, StagedEdit, StagedPlan } from './tx/staged-plan.js';
export { shadowWriteBytes, shadowWriteRanges } from './tx/plan.js';
export type {
  Bound,
  DescribedPlan,
  EditFacts,
  EditPlan,
  LiteralWrite,
  ShadowWrite,
  TableWrites,
  WritePlan,
} from './tx/plan.js';
export { compareDisks } from './copy/compare-disks.js';
export type { CompareOptions, CompareReport } from './copy/compare-disks.js';
export type { DifferentRange } from './copy/differences.js';
export { copyDisk } from './copy/copy-disk.js';
export type { CopyOptions, CopyReport } from './copy/copy-disk.js';
export { LossList, salvagedRanges } from './copy/salvage.js';
export type { SalvagedRange, SalvageState } from './copy/salvage.js';
export { hashContent, hashSource } from './copy/content.js';
export type { Content, ContentListener } from './copy/content.js';
