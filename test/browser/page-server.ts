/** A web server on 127.0.0.1 with an empty page, its script, and images in byte ranges. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { answerRange, type Served } from '../support/range-server.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const PAGE = `<!doctype html><meta charset="utf-8"><title>qsnap</title>
<link rel="icon" href="data:,"><input type="file" multiple><script src="/page.js"></script>`;

/** What the page imports from the source comes from the build: that is what pages get. */
const fromBuild: Plugin = {
  name: 'from-build',
  setup(of) {
    of.onResolve({ filter: /\/src\/(index|web)\.js$/ }, ({ path }) => ({
      path: `${ROOT}dist/${path.split('/').at(-1)!}`,
    }));
  },
};

async function pageScript(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))],
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'es2022',
    write: false,
    plugins: [fromBuild],
  });
  return outputFiles[0]!.text;
}

export interface PageServer {
  readonly port: number;
  /** Puts a file at `/images/<name>`. */
  serve(name: string, served: Served): void;
  /** Bytes of images that were sent since this was last asked. */
  takeSentBytes(): number;
  close(): Promise<void>;
}

/** Starts the server; the page needs what `npm run build` makes. */
export async function pageServer(): Promise<PageServer> {
  const script = await pageScript();
  const images = new Map<string, Served>();
  let sent = 0;
  const server = createServer((request, response) => {
    const [, folder, name] = request.url!.split('/');
    const image = folder === 'images' ? images.get(decodeURIComponent(name!)) : undefined;
    if (image !== undefined) {
      sent += answerRange(image, request, response);
    } else if (request.url === '/') {
      response.setHeader('content-type', 'text/html').end(PAGE);
    } else if (request.url === '/page.js') {
      response.setHeader('content-type', 'text/javascript; charset=utf-8').end(script);
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    serve: (name, served) => images.set(name, served),
    takeSentBytes: () => {
      const bytes = sent;
      sent = 0;
      return bytes;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}
