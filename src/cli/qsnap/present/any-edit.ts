import type { BlockSource, EditPlan, StagedEdit } from '../../../index.js';

/** An edit by shadow and switch, or one in stages. */
export type AnyEdit<Source extends BlockSource = BlockSource> =
  EditPlan<Source> | StagedEdit<Source>;

export function isStaged<Source extends BlockSource>(
  plan: AnyEdit<Source>,
): plan is StagedEdit<Source> {
  return 'stages' in plan;
}
