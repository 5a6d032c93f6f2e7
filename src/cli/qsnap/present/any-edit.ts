import type { EditPlan, StagedEdit } from '../../../index.js';

/** An edit by shadow and switch, or one in stages. */
export type AnyEdit = EditPlan | StagedEdit;

export function isStaged(plan: AnyEdit): plan is StagedEdit {
  return 'stages' in plan;
}
