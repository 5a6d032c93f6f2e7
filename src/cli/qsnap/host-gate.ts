import {
  backingName,
  dataFileName,
  QsnapError,
  type BlockSource,
  type Gate,
  type OpenImage,
} from '../../index.js';
import { printableText } from '../../internal.js';
import { fileGate } from '../../node/index.js';
import type { CliStreams } from '../streams.js';

/** A command's context, as far as it matters here. */
export interface HostGateOptions {
  readonly forceShare: boolean;
  readonly io?: Pick<CliStreams, 'willRead'> | undefined;
}

/**
 * What `--backing` opens: files of the host that images of the host name. A name in an image on a server is meant for the
 * host that wrote it, or for nobody good. A record of evidence is told of each file.
 */
export function hostGate({ forceShare, io }: HostGateOptions): Gate {
  const files = fileGate({ forceShare });
  return {
    async openBacking(image) {
      refuseRemote(image, 'BACKING_REFUSED', 'backing file', backingName(image));
      const layer = await files.openBacking(image);
      await tell(layer.source, io);
      return layer;
    },
    async openDataFile(image) {
      refuseRemote(image, 'DATA_FILE_REFUSED', 'data file', dataFileName(image));
      const source = await files.openDataFile(image);
      await tell(source, io);
      return source;
    },
  };
}

async function tell(source: BlockSource, io: HostGateOptions['io']): Promise<void> {
  await io?.willRead?.(source.label, source.path ?? source.label);
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
