/**
 * Modules of Node that take milliseconds to load, loaded with their first use: most commands need none of
 * them, and are over in a tenth of a second.
 */
export const crypto = (): typeof import('node:crypto') => process.getBuiltinModule('node:crypto');
export const zlib = (): typeof import('node:zlib') => process.getBuiltinModule('node:zlib');
