/**
 * qsnap: reads and edits internal snapshots of qcow2 images, offline and without QEMU. This entry
 * runs anywhere; files are opened by `qsnap/node`.
 */
export { ERROR_CODES, QsnapError, isQsnapError } from './errors.js';
export type { ErrorCode, ErrorDetails, ErrorKind, HintCode, ImageState } from './errors.js';
export { openQcow } from './api/open-qcow.js';
export type { QcowImage } from './api/qcow-image.js';
export type { ImageGroup } from './api/group/image-group.js';
export type { DoneGroupEdit, PlannedGroupEdit } from './api/group/group-work.js';
export type { DoneImage, PlannedImage } from './api/group/tasks.js';
export type { GroupListing, ListedImage, ListedName } from './api/group/listing.js';
export type { FoundRecord, RecordedImage } from './api/group/record.js';
export type { GroupRequest, NameAndDate, SnapshotMark } from './api/group/request.js';
export type { QcowDisk } from './api/qcow-disk.js';
export type {
  ApplyingOptions,
  ApplyingTogether,
  CreatingTogether,
  DeletingOptions,
  DiskDiffOptions,
  DiskExtentOptions,
  DiskOptions,
  DiskPiece,
  DiskRange,
  EditOptions,
  NewSnapshotOptions,
  OpenQcowOptions,
  Progress,
  ProgressOptions,
  RepairingOptions,
  RepairTarget,
  ResizingOptions,
  ResumingOptions,
  ScrubbingOptions,
  SnapshotChoice,
  StreamOptions,
  StrippingOptions,
  TrimmingOptions,
  WorkOptions,
} from './api/options.js';
export type { AnyEdit, DoneEdit, DoneSnapshotEdit, PlannedEdit } from './api/planned-edit.js';
export type { DoneRepair, MendedFindings } from './api/done-repair.js';
export type { OwnedBytes } from './api/owned-bytes.js';
export type {
  BlockDevice,
  BlockSource,
  ByteRange,
  FileStretch,
  ReadRequest,
  WriteRequest,
} from './io/device.js';
export type { Stoppable } from './io/stoppable.js';
export { memoryDevice } from './io/memory.js';
export { blobSource } from './io/blob.js';
export { httpSource } from './io/http-range.js';
export { backingFormat, backingName, dataFileName } from './image/image.js';
export type { Image, OpenImage, Unread, UnreadStructure } from './image/image.js';
export { openImage } from './image/open.js';
export type { OpenOptions } from './image/open.js';
export { openForReading } from './image/open-for-reading.js';
export type { ReadableImage } from './image/open-for-reading.js';
export type { CompressionType, EncryptionMethod, Header, L1Ref } from './qcow2/header.js';
export type { BitmapsExtension, EncryptionHeaderRef, HeaderExtension } from './qcow2/extensions.js';
export type { FeatureName } from './qcow2/features.js';
export type { Geometry } from './qcow2/geometry.js';
export type { PersistentBitmap } from './qcow2/bitmap-directory.js';
export type { Snapshot, SnapshotDate } from './qcow2/snapshot-table.js';
export { findSnapshot } from './edit/snapshot/find.js';
export type { NameRules } from './edit/snapshot/names.js';
export { planCreate } from './edit/snapshot/create.js';
export type { CreateOptions } from './edit/snapshot/create.js';
export { planApply } from './edit/snapshot/apply.js';
export type { ApplyOptions } from './edit/snapshot/apply.js';
export { planDelete, planDeleteInPlace } from './edit/snapshot/delete.js';
export { planRename } from './edit/snapshot/rename.js';
export { choosePruned, utcPeriods } from './edit/snapshot/prune.js';
export type {
  CalendarPeriods,
  DatedSnapshot,
  KeptBy,
  PruneChoice,
  PruneRules,
} from './edit/snapshot/prune.js';
export { computeUnsavedChanges, snapshotsEqualToActive } from './edit/snapshot/unsaved.js';
export type { UnsavedChanges } from './edit/snapshot/unsaved.js';
export { planBacking } from './edit/header/plan-backing.js';
export type { NewBacking } from './edit/header/plan-backing.js';
export type { BitmapAction } from './edit/bitmaps/bitmap-action.js';
export { editBitmaps } from './edit/bitmaps/edit-bitmaps.js';
export { planBitmaps } from './edit/bitmaps/plan-bitmaps.js';
export type { HeaderPlan } from './edit/header/header-plan.js';
export { planFeatureNames } from './edit/header/plan-backing.js';
export { planWrite } from './edit/write/plan-write.js';
export type { DiskWrite } from './edit/write/plan-write.js';
export type { DiskChange } from './edit/write/disk-change.js';
export { planResize } from './edit/resize/plan-resize.js';
export type { PlanWithBitmaps } from './edit/bitmaps/plan-with-bitmaps.js';
export { planStrip } from './edit/strip/plan-strip.js';
export type { StripPlan } from './edit/strip/plan-strip.js';
export type { StripOptions, StrippedDisk } from './edit/strip/disks-to-strip.js';
export { executeTrim } from './edit/trim/execute-trim.js';
export { planTrim } from './edit/trim/plan-trim.js';
export type { TrimFacts, TrimPlan } from './edit/trim/plan-trim.js';
export { planRelocation } from './edit/trim/plan-relocation.js';
export type { RelocationPlan } from './edit/trim/plan-relocation.js';
export { trimImage } from './edit/trim/trim-image.js';
export type { TrimOptions, TrimReport } from './edit/trim/trim-image.js';
export { executeScrub } from './edit/scrub/execute-scrub.js';
export type { ExecuteScrubOptions, ScrubbedBytes } from './edit/scrub/execute-scrub.js';
export { measureScrub } from './edit/scrub/look-through.js';
export type { MeasureScrubOptions, RemainingBytes } from './edit/scrub/look-through.js';
export { planScrub } from './edit/scrub/plan-scrub.js';
export type {
  PlanScrubOptions,
  ScrubFacts,
  ScrubPart,
  ScrubPlan,
} from './edit/scrub/plan-scrub.js';
export { scrubImage } from './edit/scrub/scrub-image.js';
export type { ScrubOptions, ScrubReport } from './edit/scrub/scrub-image.js';
export type { ResizeOptions } from './edit/resize/resize-options.js';
export type { Preallocation } from './edit/resize/growth.js';
export { auditImage } from './audit/audit-image.js';
export type { AuditFinding, AuditOptions, AuditReport } from './audit/audit-image.js';
export { AUDIT_RULES, findRule } from './audit/catalog.js';
export type { AuditPolicy, PolicyException, RuleSetting } from './audit/policy.js';
export { PROFILE_NAMES, profileOf } from './audit/profiles.js';
export type { ProfileName } from './audit/profiles.js';
export type {
  AuditFacts,
  BackingChain,
  ChainLayer,
  Level,
  Need,
  OptionSpec,
  OptionValue,
  OptionValues,
  Remains,
  Rule,
  Violation,
} from './audit/rule.js';
export { findKnownSecrets, KNOWN_SECRETS } from './audit/secrets/known-secrets.js';
export type {
  FindSecrets,
  NamedRegex,
  RemainsPlace,
  SecretMatch,
  SecretsLeft,
} from './audit/secrets/secret.js';
export { checkImage } from './read/check/check-image.js';
export { inferAncestry } from './read/sharing/ancestry.js';
export type { Ancestry, Certainty, Descent } from './read/sharing/ancestry.js';
export { ANOMALIES } from './read/timeline/anomaly.js';
export type { Anomaly, AnomalyCode } from './read/timeline/anomaly.js';
export type { HostDates, Moment, MomentKind } from './read/timeline/moments.js';
export { readTimeline } from './read/timeline/read-timeline.js';
export type { Timeline, TimelineOptions } from './read/timeline/read-timeline.js';
export { hashDisks } from './read/hash/hash-disks.js';
export type {
  DiskHash,
  HashDisksOptions,
  HashedDisk,
  HashedPiece,
} from './read/hash/hash-options.js';
export type { Sharing } from './read/sharing/sharing.js';
export type { Space } from './read/sharing/space.js';
export { openVmState, placesAt, placesInBlock } from './read/vmstate/vm-state.js';
export type { PlacedBytes, Screen, VmState } from './read/vmstate/vm-state.js';
export type { VmStateOptions, VmStateSource } from './read/vmstate/source.js';
export type { PageCounts, VmStateSurvey } from './read/vmstate/survey.js';
export {
  elfMemoryFile,
  limeMemoryFile,
  paddedMemoryFile,
  rawMemoryFile,
} from './vmstate/memory-files.js';
export type { MemoryFile, Placement } from './vmstate/memory-files.js';
export type { MemoryMap, MemoryRange } from './vmstate/memory-map.js';
export type {
  CpuRegisters,
  GeneralRegister,
  SegmentName,
  SegmentRegister,
} from './vmstate/registers.js';
export type { Picture } from './vmstate/text-picture.js';
export type { DeviceDescription, DeviceField } from './vmstate/description.js';
export type {
  Configuration,
  MappedPages,
  PageKind,
  RamBlock,
  Section,
  StreamProblem,
} from './vmstate/stream.js';
export { findVmState } from './refs/vm-state.js';
export type { MappedVmState } from './refs/vm-state.js';
export { freedByDeleting, measureUsage, sharersOf } from './read/sharing/usage.js';
export type { DiskUsage, FreedBytes, ImageUsage, SharedBytes } from './read/sharing/usage.js';
export { mapOwners } from './refs/owners.js';
export type { Owners } from './refs/owners.js';
export type { OwnedRange, OwnerMap } from './refs/owner-map.js';
export type { DiskNumber, DiskSet, DiskSets } from './refs/disk-sets.js';
export type { Pointers } from './refs/pointers.js';
export type { FindingCode } from './read/check/catalog.js';
export { REPAIR_CLASSES } from './read/check/finding-parts.js';
export type {
  Facts,
  Owner,
  OwnerKind,
  Remedy,
  RepairClass,
  Severity,
  Structure,
} from './read/check/finding-parts.js';
export type { Finding } from './read/check/finding.js';
export type {
  CheckExitCode,
  CheckOptions,
  CheckReport,
  CodeLeftOut,
  CheckTotals,
  QemuFailure,
  Unreferenced,
} from './read/check/report.js';
export type { Extent, ExtentKind, ExtentOptions, GuestDisk, Loss } from './read/guest/disk.js';
export { locateClusters } from './read/locate/locate-clusters.js';
export type { LocatedCluster } from './read/locate/locate-clusters.js';
export { locateGuest } from './read/locate/locate-guest.js';
export type { GuestKind, LocatedEntry, LocatedGuest } from './read/locate/locate-guest.js';
export { dumpImage } from './read/dump/dump-image.js';
export type { DumpOptions } from './read/dump/dump-image.js';
export { openForDump } from './read/dump/dumpable.js';
export type { DumpableImage } from './read/dump/dumpable.js';
export type { DumpedField } from './read/dump/dumped.js';
export { DUMP_PARTS } from './read/dump/parts.js';
export type { DumpPart } from './read/dump/parts.js';
export type { RawHeader } from './qcow2/raw-header.js';
export { diffDisks } from './read/diff/diff-disks.js';
export type { DiffOptions } from './read/diff/diff-disks.js';
export type { DiffContent } from './read/diff/compare-content.js';
export type { DiffKind, DiffRange } from './read/diff/diff-range.js';
export type { Gate, OpenedLayer } from './read/guest/gate.js';
export { openGuestDisk } from './read/guest/open-guest-disk.js';
export type { GuestDiskOptions } from './read/guest/open-guest-disk.js';
export type {
  CipherDirection,
  CipherName,
  Compressor,
  Cryptography,
  Decompressor,
  SectorCipher,
} from './read/guest/platform.js';
export { rawDisk } from './read/guest/raw-disk.js';
export type { RawDiskOptions } from './read/guest/raw-disk.js';
export { proposeRepair } from './edit/repair/propose.js';
export type { ProposedRepair } from './edit/repair/propose.js';
export type { DroppedBitmaps } from './edit/repair/dropped-bitmaps.js';
export type { RepairFacts } from './edit/repair/plan-repair.js';
export { createImage } from './make/new/create-image.js';
export type { CreateImageOptions, NewPreallocation } from './make/new/create-options.js';
export { measureQcow2 } from './make/new/measure.js';
export type { Measure, MeasuredExtent, MeasureOptions } from './make/new/measure.js';
export { newQcow2Writer } from './make/new/qcow2-writer.js';
export { newRawWriter, newStreamWriter } from './make/new/raw-writer.js';
export type { ByteSink } from './make/new/raw-writer.js';
export type {
  GuestWrite,
  ImageWriter,
  NewEncryption,
  NewImageOptions,
} from './make/new/image-writer.js';
export { compactImage } from './make/compact/compact-image.js';
export type { CompactDisk, CompactOptions, CompactReport } from './make/compact/compact-options.js';
export type { LeftOutReason } from './make/dehydrate/copy-metadata.js';
export { dehydrateImage } from './make/dehydrate/dehydrate-image.js';
export type {
  DehydrateOptions,
  DehydrateReport,
  LeftOutClusters,
  RehydrateOptions,
  RehydrateReport,
} from './make/dehydrate/dehydrate-options.js';
export { rehydrateImage } from './make/dehydrate/rehydrate-image.js';
export type { ChosenFinding, EmptiedL1, RepairChoice } from './edit/repair/choice.js';
export { partitionAt, partitionNumbered, readPartitions } from './read/guest/partition-table.js';
export type { Partition, PartitionTable } from './read/guest/partition-table.js';
export { isDiskCandidate } from './read/scan/candidate.js';
export type {
  Candidate,
  CandidateKind,
  FateCounts,
  FoundHeader,
  Reason,
  ReasonCode,
} from './read/scan/candidate.js';
export type { Fate } from './read/scan/fates.js';
export { scanImage } from './read/scan/scan-image.js';
export type { ScanBasis, ScanOptions, ScanReport } from './read/scan/scan-image.js';
export { imageWithCandidate, withoutReused } from './read/scan/recovered-disk.js';
export type { ImageWithCandidate } from './read/scan/recovered-disk.js';
export { recoveredRanges } from './read/scan/recovered-ranges.js';
export type { RecoveredRange, RecoveredState, RecoveredWhy } from './read/scan/recovered-ranges.js';
export { planRecovery } from './make/rescue/plan-recovery.js';
export type { RecoveryPlan } from './make/rescue/plan-recovery.js';
export { chooseRescued } from './make/rescue/choose.js';
export type { RescueChoice } from './make/rescue/choose.js';
export type { RescueOptions } from './make/rescue/gather.js';
export { planRescue } from './make/rescue/plan-rescue.js';
export type { RebuiltPart } from './make/rescue/evidence.js';
export type { RescuedDisk, RescuePlan } from './make/rescue/rescue-plan.js';
export type { Origin, Sureness } from './make/rescue/root.js';
export type { Unexplained } from './make/rescue/unexplained.js';
export { writeRescued } from './make/rescue/write-copy.js';
export type { RescueReport } from './make/rescue/write-copy.js';
export { saveUndo } from './edit/tx/save-undo.js';
export type { UndoAbout } from './edit/tx/save-undo.js';
export { executeUndo } from './edit/tx/undo.js';
export type { UndoOptions, UndoReport } from './edit/tx/undo.js';
export type { UndoIndex } from './edit/tx/undo-index.js';
export type { ForkableHasher, Hasher, NewForkableHasher, NewHasher } from './base/hasher.js';
export { editWithinRoom } from './edit/plan/within-room.js';
export type { Planned } from './edit/plan/within-room.js';
export { executePlan } from './edit/tx/execute.js';
export type { ExecuteOptions, ExecuteReport } from './edit/tx/execute.js';
export { executeStages } from './edit/tx/execute-stages.js';
export type { Stage, StagedEdit, StagedPlan } from './edit/tx/staged-plan.js';
export type {
  Bound,
  DescribedPlan,
  EditFacts,
  EditPlan,
  LiteralWrite,
  ShadowWrite,
  TableWrites,
  WritePlan,
} from './edit/tx/plan.js';
export { compareDisks } from './make/copy/compare-disks.js';
export type { CompareOptions, CompareReport } from './make/copy/compare-disks.js';
export type { DifferentRange } from './make/copy/differences.js';
export { copyDifferences } from './make/copy/copy-differences.js';
export type { CopyDifferencesOptions } from './make/copy/copy-differences.js';
export { copyDisk } from './make/copy/copy-disk.js';
export type { CopyOptions, CopyReport } from './make/copy/copy-disk.js';
export type { Content, ContentListener } from './make/copy/content.js';
