// Builds the app into dist/: index.html, app.js and app.css. The output depends on the sources only, so that two builds
// of one commit are equal byte for byte.
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';

const LIMIT = 60_000;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
// The files of dist/ are replaced one by one when everything is built, because the Rust build reads them at any time.
const out = here('node_modules/.build');

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await build({
  absWorkingDir: here('.'),
  entryPoints: { app: 'src/main.tsx' },
  outdir: out,
  bundle: true,
  minifySyntax: true,
  minifyWhitespace: true,
  format: 'esm',
  target: ['chrome123', 'firefox128', 'safari17.5'],
  // Calls of `h` take less space than those of the automatic runtime, which the type checker uses.
  tsconfigRaw: { compilerOptions: { jsx: 'react', jsxFactory: 'h', jsxFragmentFactory: 'Fragment' } },
  inject: ['src/jsx.ts'],
  legalComments: 'none',
  charset: 'utf8',
  logLevel: 'warning',
});
// Names that terser chooses compress better: this saves 3 % of the compressed size.
const script = await minify(await readFile(`${out}/app.js`, 'utf8'), {
  module: true,
  ecma: 2020,
  // The usual code compresses better than what these two would make of it.
  compress: { passes: 2, lhs_constants: false, inline: 1 },
});
await writeFile(`${out}/app.js`, script.code);
await copyFile(here('src/index.html'), `${out}/index.html`);

await mkdir(here('dist'), { recursive: true });
let total = 0;
for (const name of ['index.html', 'app.js', 'app.css']) {
  await rename(`${out}/${name}`, here(`dist/${name}`));
  const bytes = await readFile(here(`dist/${name}`));
  const gzip = gzipSync(bytes, { level: 9 }).length;
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  }).length;
  total += gzip;
  console.log(`${name.padEnd(12)} ${bytes.length} bytes, ${gzip} gzip, ${brotli} brotli`);
}
console.log(`total        ${total} bytes gzip of at most ${LIMIT}`);
if (total > LIMIT) {
  console.error(`the app is ${total - LIMIT} bytes too large`);
  process.exit(1);
}
