import { examineImage, type ExamineOptions } from '../fleet/examine/examine-image.js';
import { hashRange } from '../fleet/examine/hash-range.js';
import type { ImageRecord } from '../fleet/examine/record.js';
import { auditFile, type AuditTask } from '../qsnap/audit-file.js';
import { sentResult, type SentResult } from './sent-result.js';

/** An image to read for the catalogue. */
export interface ExamineTask {
  readonly location: string;
  readonly options: ExamineOptions;
}

/** What a thread can do; arguments and results are plain values. */
export const TASKS = {
  audit: async (task: AuditTask): Promise<SentResult> => sentResult(await auditFile(task)),
  examine: ({ location, options }: ExamineTask): Promise<ImageRecord> =>
    examineImage(location, options),
  hash: hashRange,
} as const;

export type TaskName = keyof typeof TASKS;
export type TaskArguments<Name extends TaskName> = Parameters<(typeof TASKS)[Name]>[0];
export type TaskResult<Name extends TaskName> = Awaited<ReturnType<(typeof TASKS)[Name]>>;

/** Does a task, in whatever thread this is. */
export async function doTask(name: TaskName, argument: unknown): Promise<unknown> {
  return (TASKS[name] as (argument: unknown) => Promise<unknown>)(argument);
}
