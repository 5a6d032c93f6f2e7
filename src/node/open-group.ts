import { ImageGroup } from '../api/group/image-group.js';
import { RECORD_LIMITS } from '../api/group/record.js';
import { refuseWrong } from '../api/known-options.js';
import { printableText } from '../base/text.js';
import { QsnapError } from '../errors.js';
import { closeQuietly } from './files/file-calls.js';
import { GroupRecordFile } from './files/group-record.js';
import { fileIdentity } from './files/identity.js';
import { openFileForEdit } from './files/open-for-edit.js';
import { openFile, type HostFile } from './files/open.js';
import { OPEN_FILE, type OpenImageFileOptions } from './open-image-file.js';

/**
 * Opens images that are edited together: the disks of a machine and its NVRAM. All are locked before this resolves.
 *
 * ```ts
 * await using group = await openGroup(['vm.qcow2', 'nvram.qcow2'], { write: true });
 * await group.create('before upgrade');
 * ```
 *
 * @throws QsnapError GROUP_INVALID for no image, too many, or one that is named twice; OPEN_FAILED, NOT_A_FILE,
 *   IMAGE_IN_USE.
 */
export async function openGroup(
  paths: readonly string[],
  options: OpenImageFileOptions = {},
): Promise<ImageGroup<HostFile>> {
  refuseWrong(options, OPEN_FILE);
  refuseNoList(paths);
  const { write = false, forceShare = false } = options;
  await refuseTwice(paths);
  const files: HostFile[] = [];
  try {
    for (const path of paths) {
      files.push(await (write ? openFileForEdit(path) : openFile(path, { forceShare })));
    }
    return new ImageGroup(files, await GroupRecordFile.of(files));
  } catch (error) {
    for (const file of files) await closeQuietly(file);
    throw error;
  }
}

function refuseNoList(paths: unknown): void {
  const isList = Array.isArray(paths) && paths.every((path) => typeof path === 'string');
  if (!isList) throw new TypeError('the images of a group are a list of paths');
  const most = RECORD_LIMITS.imagesMax;
  if (paths.length > 0 && paths.length <= most) return;
  throw new QsnapError('GROUP_INVALID', `a group can't have ${paths.length} images`, {
    expected: `1 to ${most} images`,
    actual: String(paths.length),
  });
}

/** By whatever names: an image that is edited twice at once would be harmed. */
async function refuseTwice(paths: readonly string[]): Promise<void> {
  const seen = new Map<string, string>();
  for (const path of paths) {
    // What leads to nothing is refused when it is opened.
    const identity = (await fileIdentity(path)) ?? `nothing at ${path}`;
    const other = seen.get(identity);
    seen.set(identity, path);
    if (other === undefined) continue;
    const [a, b] = [printableText(other), printableText(path)];
    const message =
      other === path ? `${a} is named twice in the group` : `${a} and ${b} are one file`;
    throw new QsnapError('GROUP_INVALID', message, {
      file: path,
      expected: 'each image once',
      imageState: 'unchanged',
    });
  }
}
