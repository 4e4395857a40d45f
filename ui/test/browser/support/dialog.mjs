/** The dialog that is open. */
export const dialog = (page) => page.getByRole('dialog');

/** Presses a button of the open dialog and waits until the dialog is gone. */
export async function confirm(page, name) {
  await dialog(page).getByRole('button', { name, exact: true }).click();
  await dialog(page).waitFor({ state: 'detached' });
}

/** Waits for a message of the app. */
export const message = (page, text) => page.locator('[data-test=toasts]').getByText(text).first().waitFor();
