import {
  measureScrub,
  openImage,
  planScrub,
  proposeRepair,
  type AuditReport,
  type BlockSource,
  type FindingCode,
  type ProposedRepair,
  type RemainingBytes,
  type RepairChoice,
  type Rule,
  type ScrubPart,
  type ScrubPlan,
} from '../../../index.js';
import { planWithinRoom, previewPlan } from '../../../internal.js';
import { chooseRemedies } from './choose-remedies.js';
import { safeRemedyOf } from './safe-remedies.js';

/** How an image is judged, with what a baseline has left out. */
export type Judge = (source: BlockSource) => Promise<AuditReport>;

/** What would be done about an image, as it was planned on the image as it is. */
export interface MendingPlan {
  readonly rules: readonly Rule[];
  /** Undefined where no repair is to be done. */
  readonly repair: ProposedRepair | undefined;
  /** Undefined where nothing is to be scrubbed. Planned on what the repair leaves. */
  readonly scrub: PlannedScrub | undefined;
}

export interface PlannedScrub {
  readonly parts: readonly ScrubPart[];
  readonly plan: ScrubPlan;
  /** What is not zeros yet. */
  readonly remaining: RemainingBytes;
}

/** A repair of findings by name: no class, which may do more. */
export function choiceOf(repairs: readonly FindingCode[]): RepairChoice {
  return { classes: [], findings: repairs.map((code) => ({ code, at: undefined })) };
}

/**
 * Plans the safe remedies of what an audit found. What a repair frees keeps its bytes: the image is judged once more as
 * the repair would leave it, and the scrub is planned on that.
 *
 * @returns undefined where there is nothing to do, or where the image is damaged: then a person has to look first.
 * @throws QsnapError what `proposeRepair` and `planScrub` throw.
 */
export async function planMending(
  source: BlockSource,
  report: AuditReport,
  judge: Judge,
): Promise<MendingPlan | undefined> {
  if (report.isCorrupt || report.unopened !== undefined) return undefined;
  const first = chooseRemedies(report.findings);
  const repair = await proposed(source, first.repairs);
  if (repair !== undefined && repair.before.exitCode === 2) return undefined;
  const plan = repair?.plan;
  const seen = plan === undefined ? source : previewPlan(source, plan);
  const second = plan === undefined ? first : chooseRemedies((await judge(seen)).findings);
  const scrub = await plannedScrub(seen, second.scrubs);
  if (plan === undefined && scrub === undefined) return undefined;
  const rules = [
    ...(plan === undefined ? [] : first.rules.filter((rule) => isRepaired(rule))),
    ...(scrub === undefined ? [] : second.rules.filter((rule) => !isRepaired(rule))),
  ];
  return { rules, repair: plan && repair, scrub };
}

const isRepaired = (rule: Rule): boolean => safeRemedyOf(rule)!.repairs.length > 0;

async function proposed(
  source: BlockSource,
  repairs: readonly FindingCode[],
): Promise<ProposedRepair | undefined> {
  if (repairs.length === 0) return undefined;
  const choice = choiceOf(repairs);
  return planWithinRoom(source, (how) => proposeRepair(source, () => choice, how));
}

async function plannedScrub(
  source: BlockSource,
  parts: readonly ScrubPart[],
): Promise<PlannedScrub | undefined> {
  if (parts.length === 0) return undefined;
  const plan = await planScrub(await openImage(source), { parts });
  return { parts, plan, remaining: await measureScrub(plan) };
}
