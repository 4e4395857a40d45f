// Writes pictures of every page into the folder ABIDE_SCREENSHOTS, if it is set.
import { PAGES, TROUBLED } from './support/addresses.mjs';
import { check } from './support/check.mjs';
import { longHistory } from './support/long.mjs';
import { picture } from './support/picture.mjs';
import { shop } from './support/shop.mjs';
import { trouble } from './support/trouble.mjs';

const WIDTHS = [1280, 760, 420];
const HEIGHT = 800;

for (const colorScheme of process.env.ABIDE_SCREENSHOTS ? ['light', 'dark'] : []) {
  check(
    `pictures of every page (${colorScheme})`,
    async ({ page, context, goto }) => {
      async function take(name, address, ready) {
        await page.setViewportSize({ width: WIDTHS[0], height: HEIGHT });
        await goto(address);
        await ready(page);
        await page.waitForLoadState('networkidle', { timeout: 1_000 }).catch(() => null);
        for (const width of WIDTHS) {
          await page.setViewportSize({ width, height: HEIGHT });
          await picture(page, name, colorScheme, String(width));
        }
      }
      await shop();
      for (const { name, address, ready } of PAGES) await take(name, address, ready);
      await trouble(context);
      for (const { name, address, ready } of TROUBLED) await take(name, address, ready);
      await longHistory(context, 50_000);
      const all = () => page.getByText('24,9').first().waitFor();
      await take('instance-long', '#/instances/order-long', all);
    },
    { context: { colorScheme }, allow: [/status of 404.*no-such-order/], timeout: 240_000 },
  );
}
