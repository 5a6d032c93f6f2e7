/** A process of its own that opens an image (`read` or `edit`) and holds it until it is ended. */
import { openFile } from '../../src/node/files/open.js';
import { openFileForEdit } from '../../src/node/files/open-for-edit.js';

const [mode, image] = process.argv.slice(2) as [string, string];
const file = await (mode === 'edit' ? openFileForEdit(image) : openFile(image));
process.stdout.write(`ready ${file.lock.guarantee}\n`);
process.stdin.resume();
process.stdin.on('end', () => void file.close());
