import {
  shadowWriteRanges,
  type EditPlan,
  type ExecuteReport,
  type Image,
  type QsnapError,
} from '../../../index.js';
import { errorJson } from '../report.js';
import { netFreedBytes } from './plan-text.js';

interface Range {
  readonly offset: number;
  readonly length: number;
}

function rangeJson(range: { at: number; length: number }): Range {
  return { offset: range.at, length: range.length };
}

function editJson(path: string, plan: EditPlan, image: Image): Record<string, unknown> {
  const { facts } = plan;
  return {
    filename: path,
    operation: plan.operation,
    summary: plan.summary,
    created: plan.created.map(({ id, name }) => ({ id, name })),
    'cluster-size': image.geometry.clusterBytes,
    'written-bytes': facts.shadowBytes + plan.switch.bytes.length,
    'growth-bytes': facts.growthBytes,
    'freed-bytes': facts.freedBytes,
    'net-freed-bytes': netFreedBytes(plan),
    'freed-data-bytes': facts.freedDataBytes,
    'leaked-clusters': facts.leakedClusters,
  };
}

/** A plan that was not carried out. docs/schema/edit.json. */
export function dryRunJson(
  path: string,
  plan: EditPlan,
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

/** The writes of a plan in their stages. docs/schema/edit.json. */
export function planJson(plan: EditPlan): Record<string, unknown> {
  return {
    shadow: plan.shadow.flatMap((write) =>
      shadowWriteRanges(write).map((range) => ({ structure: write.what, ...rangeJson(range) })),
    ),
    switch: { offset: plan.switch.at, length: plan.switch.bytes.length },
    punch: plan.punch.map(rangeJson),
  };
}

/** An edit that is done. docs/schema/edit.json. */
export function doneJson(
  path: string,
  plan: EditPlan,
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
