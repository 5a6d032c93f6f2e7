import {
  type ExecuteReport,
  type Image,
  type QsnapError,
  type ShadowWrite,
} from '../../../index.js';
import { shadowBytesOf, shadowWriteRanges } from '../../../internal.js';
import { errorJson } from '../report.js';
import { isStaged, type AnyEdit } from './any-edit.js';
import { netFreedBytes } from './plan-text.js';

interface Range {
  readonly offset: number;
  readonly length: number;
}

function rangeJson(range: { at: number; length: number }): Range {
  return { offset: range.at, length: range.length };
}

function editJson(path: string, plan: AnyEdit, image: Image): Record<string, unknown> {
  const { facts } = plan;
  return {
    filename: path,
    operation: plan.operation,
    summary: plan.summary,
    created: plan.created.map(({ id, name }) => ({ id, name })),
    'cluster-size': image.geometry.clusterBytes,
    'written-bytes': writtenBytes(plan),
    'growth-bytes': facts.growthBytes,
    'freed-bytes': facts.freedBytes,
    'net-freed-bytes': netFreedBytes(plan),
    'freed-data-bytes': facts.freedDataBytes,
    'leaked-clusters': facts.leakedClusters,
    mends: facts.mends ?? [],
  };
}

/** A plan that was not carried out. docs/schema/edit.json. */
export function dryRunJson(
  path: string,
  plan: AnyEdit,
  image: Image,
  refusal: QsnapError | undefined,
): Record<string, unknown> {
  return {
    ...editJson(path, plan, image),
    'dry-run': true,
    plan: planJson(plan),
    ...refusalJson(refusal),
  };
}

/** What would keep an edit or a repair from opening the image. */
export function refusalJson(refusal: QsnapError | undefined): Record<string, unknown> {
  return refusal === undefined ? {} : { refusal: errorJson(refusal, 'read') };
}

/** Bytes that a plan writes, whatever was there. */
function writtenBytes(plan: AnyEdit): number {
  if (!isStaged(plan)) return plan.facts.shadowBytes + plan.switch.bytes.length;
  return shadowBytesOf(plan.stages.flatMap(({ writes }) => writes));
}

/** The writes of a plan in their stages. docs/schema/edit.json. */
export function planJson(plan: AnyEdit): Record<string, unknown> {
  const punch = plan.punch.map(rangeJson);
  if (isStaged(plan)) {
    const stages = plan.stages.map(({ what, writes }) => ({ what, writes: writesJson(writes) }));
    return { stages, punch };
  }
  const { at, bytes } = plan.switch;
  return { shadow: writesJson(plan.shadow), switch: { offset: at, length: bytes.length }, punch };
}

function writesJson(writes: readonly ShadowWrite[]): readonly Record<string, unknown>[] {
  return writes.flatMap((write) =>
    shadowWriteRanges(write).map((range) => ({ structure: write.what, ...rangeJson(range) })),
  );
}

/** An edit that is done. docs/schema/edit.json. */
export function doneJson(
  path: string,
  plan: AnyEdit,
  report: ExecuteReport,
  image: Image,
  verified: boolean,
): Record<string, unknown> {
  return {
    ...editJson(path, plan, image),
    'dry-run': false,
    verified,
    'punched-bytes': report.punchedBytes,
    'file-size': report.fileSizeBytes,
  };
}
