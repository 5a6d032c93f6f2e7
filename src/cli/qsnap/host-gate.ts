import { backingName, dataFileName, QsnapError, type Gate, type OpenImage } from '../../index.js';
import { printableText } from '../../internal.js';
import { fileGate } from '../../node/index.js';

/**
 * What `--backing` opens: files of the host that images of the host name. A name in an image on a server is meant for the
 * host that wrote it, or for nobody good.
 */
export function hostGate({ forceShare }: { readonly forceShare: boolean }): Gate {
  const files = fileGate({ forceShare });
  return {
    openBacking(image) {
      refuseRemote(image, 'BACKING_REFUSED', 'backing file', backingName(image));
      return files.openBacking(image);
    },
    openDataFile(image) {
      refuseRemote(image, 'DATA_FILE_REFUSED', 'data file', dataFileName(image));
      return files.openDataFile(image);
    },
  };
}

function refuseRemote(
  { source }: OpenImage,
  code: 'BACKING_REFUSED' | 'DATA_FILE_REFUSED',
  kind: string,
  name: string | undefined,
): void {
  if (source.path !== undefined) return;
  throw new QsnapError(
    code,
    `the ${kind} "${printableText(name ?? '')}" of an image on a server is not opened`,
    { file: source.label, hint: 'copy the image and what it names to this host' },
  );
}
