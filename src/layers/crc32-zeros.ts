/**
 * CRC-32 (the reflected polynomial of zlib and gzip) over zeros that nobody has to make: holes of sparse files are long.
 *
 * Feeding a zero bit multiplies the register by x modulo the polynomial, so that n zero bytes multiply it by x^(8n), which
 * takes as many steps as n has bits. Polynomials are 32-bit numbers with the coefficient of x^0 in the highest bit.
 */
const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;

/** x^(2^k) for k from 0 to 31; further on they repeat, since x^(2^32) is x. */
const SQUARES = ((): readonly number[] => {
  const squares = [ONE >>> 1];
  while (squares.length < 32) squares.push(product(squares.at(-1) as number, squares.at(-1) as number));
  return squares;
})();

/** The checksum of what `checksum` is of, followed by `count` zero bytes. */
export function crc32Zeros(checksum: number, count: number): number {
  let power = ONE;
  // bytes are eight bits: from x^(2^3) on
  for (let rest = count, k = 3; rest > 0; rest = Math.floor(rest / 2), k += 1) {
    if (rest % 2 === 1) power = product(SQUARES[k % 32] as number, power);
  }
  return ~product(power, ~checksum) >>> 0;
}

function product(a: number, b: number): number {
  let sum = 0;
  let shifted = b;
  for (let bit = 31; bit >= 0; bit -= 1) {
    if (((a >>> bit) & 1) !== 0) sum ^= shifted;
    shifted = (shifted & 1) !== 0 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return sum >>> 0;
}
