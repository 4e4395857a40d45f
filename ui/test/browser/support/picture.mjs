import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.env.ABIDE_SCREENSHOTS;

/** Writes what a page shows into the folder of the pictures, if there is one. */
export async function picture(page, ...words) {
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  const name = words.join('-').replace(/[^\w]+/g, '-').slice(0, 100).toLowerCase();
  await page.screenshot({ path: join(folder, `${name}.png`) }).catch(() => null);
}
