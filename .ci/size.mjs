// Usage: size.mjs FOLDER
// Prints what the console's files weigh as a browser loads them, and fails when they weigh too much.
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const BYTES_MAX = 350 * 1024;

const weight = (file) =>
  brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;

const [folder] = process.argv.slice(2);
const files = readdirSync(folder, { recursive: true });
const sizes = [".wasm", ".js", ".css"].map((extension) => {
  const those = files.filter((file) => extname(file) === extension);
  return [extension.slice(1), those.reduce((sum, file) => sum + weight(join(folder, file)), 0)];
});
const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);

for (const [name, bytes] of [...sizes, ["total", total]]) {
  console.log(`  ${name.padEnd(6)}${bytes.toLocaleString("en").padStart(8)} bytes`);
}
const missing = sizes.filter(([, bytes]) => bytes === 0).map(([name]) => name);
if (missing.length > 0) {
  console.error(`size: ${folder} has no ${missing.join(" and no ")}`);
  process.exitCode = 1;
} else if (total > BYTES_MAX) {
  console.error(`size: ${(total - BYTES_MAX).toLocaleString("en")} bytes more than the ${BYTES_MAX.toLocaleString("en")} that the console may weigh`);
  process.exitCode = 1;
}
