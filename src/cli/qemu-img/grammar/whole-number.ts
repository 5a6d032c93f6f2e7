/** As the C library reads one: `0x` and a leading zero tell the base. NaN where it is none. */
export function wholeNumber(text: string): number {
  const [, sign, digits] = /^\s*([-+]?)(0[xX][0-9a-fA-F]+|\d+)$/.exec(text) ?? [];
  if (digits === undefined) return NaN;
  const isOctal = /^0\d/.test(digits);
  if (isOctal && /[89]/.test(digits)) return NaN;
  const value = isOctal ? parseInt(digits, 8) : Number(digits);
  return sign === '-' ? -value : value;
}
