/**
 * CRC-32 (ISO 3309), the checksum of PNG chunks and zip archives.
 *
 * @module
 */

/** The tables, made for the first checksum. */
let madeTables: Int32Array | undefined;

/** Four tables of 256 entries: a byte's effect on the checksum when 0 to 3 more bytes follow it. */
function makeTables(): Int32Array {
  const tables = new Int32Array(4 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ crc >>> 1 : crc >>> 1;
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    tables[i] = tables[tables[i - 256] & 0xff] ^ tables[i - 256] >>> 8;
  }
  return tables;
}

/**
 * The CRC-32 of bytes, as an unsigned integer.
 *
 * @param previous The checksum of all bytes before them.
 */
export function crc32(bytes: Uint8Array, previous = 0): number {
  const tables = madeTables ??= makeTables();
  let crc = ~previous, i = 0;
  for (const whole = bytes.length - 3; i < whole; i += 4) {
    crc ^= bytes[i] | bytes[i + 1] << 8 | bytes[i + 2] << 16 | bytes[i + 3] << 24;
    crc = tables[768 + (crc & 0xff)] ^ tables[512 + (crc >>> 8 & 0xff)] ^
      tables[256 + (crc >>> 16 & 0xff)] ^ tables[crc >>> 24];
  }
  for (; i < bytes.length; i++) crc = tables[(crc ^ bytes[i]) & 0xff] ^ crc >>> 8;
  return ~crc >>> 0;
}
