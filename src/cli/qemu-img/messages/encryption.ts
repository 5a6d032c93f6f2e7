/** QEMU's wording for the encryption of new images, and for key slots. */
const elsewhere = 'is not made here: use qemu-img for it';

export const ENCRYPTION = {
  alias: "'encrypt.format' and its alias 'encryption' can't be used at the same time",
  unexpected: (key: string) => `Parameter '${key}' is unexpected`,
  unsupportedCipher: (name: string) => `encryption by ${name} ${elsewhere}`,
  vectorKey: (bytes: number) => `No AES cipher with key size ${bytes} available`,
} as const;

const losesAll = 'erase all the data in the image irreversibly - refusing operation';

export const KEY_SLOTS = {
  onlyLuks: 'Only LUKS encryption options can be amended',
  newSecretNeeded: "'new-secret' is required to activate a keyslot",
  oldSecretGiven: "'old-secret' must not be given when activating keyslots",
  newSecretGiven: "'new-secret' must not be given when erasing keyslots",
  timeGiven: "'iter-time' must not be given when erasing keyslots",
  outOfRange: (keySlot: bigint) => `Invalid keyslot ${keySlot} specified, must be between 0 and 7`,
  allUsed: "Can't add a keyslot - all keyslots are in use",
  used: (slot: number) => `Refusing to overwrite active keyslot ${slot} - please erase it first`,
  unused: (slot: number) => `Given keyslot ${slot} is already erased (inactive) `,
  otherPassword: (slot: number) =>
    `Given keyslot ${slot} doesn't contain the given old password for erase operation`,
  onlyOne: (slot: number) =>
    `Attempt to erase the only active keyslot ${slot} which will ${losesAll}`,
  nothingNamed:
    'To erase keyslot(s), either explicit keyslot index or the password currently contained in them must be given',
  noneMatches: 'No keyslots match given (old) password for erase operation',
  allMatch: `All the active keyslots match the (old) password that was given and erasing them will ${losesAll}`,
  noSpare: (slot: number) =>
    `keyslot ${slot} is not overwritten while all the others are in use: a power cut could leave neither ` +
    'password in it, so erase one first',
} as const;
